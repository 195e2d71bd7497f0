"""Finding images that do not decode, all of them at once."""

import dataclasses
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.decoding import check_image
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.progress import progress

SHOWN = 20  # broken images in a message


def find_broken(images: ImageFiles) -> dict[int, str]:
    """Decodes every image once.

    Returns:
        A dict from the number of each image that does not decode to what is wrong with it.
    """
    names = images.shown()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = progress(
            pool.map(check_image, images.paths),
            total=len(images),
            description="checking images",
            unit="images",
            hidden=len(images) < 1_000,
        )
        return {
            i: problem.replace(str(images.paths[i]), names[i])
            for i, problem in enumerate(results)
            if problem is not None
        }


def check_images(examples: Examples, *, skip: bool | None = False) -> Examples:
    """Examples whose images decode.

    Args:
        examples: `Examples`; images in memory and those of TFDS are not checked.
        skip: bool, whether to leave out images that do not decode, with a note; None as False, where the caller
            has no such option to suggest.

    Raises:
        InputError: if images do not decode and are not skipped, or a class that has images has no others.
    """
    if not isinstance(examples.images, ImageFiles):
        return examples
    broken = find_broken(examples.images)
    if not broken:
        return examples
    shown = "; ".join(list(broken.values())[:SHOWN])
    if len(broken) > SHOWN:
        shown += f"; and {len(broken) - SHOWN:,} more"
    count = f"{len(broken):,} of {len(examples):,}"
    if not skip:
        raise checks.InputError(
            f"Expected images that decode. {count} do not: {shown}. Fix or remove them"
            + (", or pass --skip-broken (in Python: skip_broken=True)." if skip is False else ".")
        )
    good = [i for i in range(len(examples)) if i not in broken]
    left = examples.take(good)
    # Of a network's classes the data may have some only.
    lost = [examples.names[i] for i in np.setdiff1d(examples.labels, left.labels)]
    if lost:
        raise checks.InputError(
            f"Expected an image that decodes in each class. {', '.join(lost)} has none: {shown}. Fix "
            "them, or remove the class."
        )
    note = f"{count} images do not decode and were left out: {shown}"
    return dataclasses.replace(left, notes=(*examples.notes, note))


def hash_images(images: ImageFiles) -> list[bytes]:
    """The sha256 of each file."""

    def digest(path):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(digest, images.paths))
