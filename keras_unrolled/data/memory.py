"""Images in memory, and what `Examples` that somebody has made must be."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples
from keras_unrolled.models.inputs import check_images, check_labels

WHERE = "images in memory"


def is_path(value: Any) -> bool:
    """Whether data or a preset are named, not in memory."""
    return value is None or isinstance(value, (str, Path))


def as_examples(dataset: Any, names: Any = None, count: int | None = None) -> tuple[Examples, bool]:
    """Images in memory as `Examples`, and whether they have labels.

    Args:
        dataset: `Examples`; an array `(n, height, width, channels)` or a list of arrays of one
            shape; or a pair of these and of class numbers, an int array `(n,)`.
        names: optional list of the classes' names; by default they are numbers.
        count: optional int, the number of classes; the default follows from the labels.

    Raises:
        InputError: for anything else.
    """
    if isinstance(dataset, Examples):
        check_examples(dataset)
        return dataset, True
    has_labels = isinstance(dataset, tuple)
    images, labels = dataset if has_labels and len(dataset) == 2 else (dataset, None)
    images = _stack(images)
    if labels is None:
        names = tuple(names or map(str, range(count or 1)))
        return Examples(images, np.zeros(len(images), "int64"), names, WHERE), False
    labels = np.asarray(labels)
    if count is None and labels.size and labels.dtype.kind in "iu":
        count = int(labels.max()) + 1
    _check_numbers(labels, len(images), count)
    names = tuple(names or map(str, range(count or 1)))
    return Examples(images, labels.astype("int64"), names, WHERE), True


def check_examples(examples: Examples) -> None:
    """Raises `InputError` for examples whose images, labels and names do not go together."""
    images = examples.images
    check_labels(examples.names)
    if isinstance(images, np.ndarray):
        _stack(images)
    elif not hasattr(images, "keys"):
        raise _no_images(images)
    _check_numbers(np.asarray(examples.labels), len(images), len(examples.names))


def as_bytes(examples: Examples, channels: int) -> Examples:
    """Examples whose array of images is uint8, as those that are trained on.

    Args:
        examples: `Examples`; images that are not an array stay as they are.
        channels: int, of the network's images.

    Raises:
        InputError: for values that uint8 cannot hold, and for those from 0 to 1.
    """
    images = examples.images
    if not isinstance(images, np.ndarray):
        return examples
    check_images(images, channels)
    if images.dtype == np.uint8:
        return examples
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 255 or 0 < high <= 1:
        raise checks.InputError(
            f"Expected images on a scale of 0 to 255 to train on. Received values from {low:.4g} to "
            f"{high:.4g} ({images.dtype}). Convert them to uint8."
        )
    return dataclasses.replace(examples, images=np.rint(images).astype("uint8"))


def _check_numbers(labels, n, count):
    whole = labels.dtype.kind in "iu" and labels.shape == (n,) and n > 0
    if not whole or labels.min() < 0 or (count and labels.max() >= count):
        values = f", from {labels.min()} to {labels.max()}" if whole else ""
        raise checks.InputError(
            f"Expected a class number, 0 to {(count or 1) - 1}, for each of {n:,} images. Received labels "
            f"of shape {labels.shape} and type {labels.dtype}{values}. Pass an array of ints; of one-hot "
            "labels pass labels.argmax(-1)."
        )


def _stack(images):
    try:
        found = np.asarray(images)
    except (ValueError, TypeError):  # of several shapes
        found = np.zeros(0)
    if found.ndim != 4 or not len(found) or found.dtype.kind not in "uif":
        raise _no_images(images)
    return found


def _no_images(images):
    return checks.InputError(
        "Expected the name or path of data, Examples, an array of images (n, height, width, channels), "
        f"or a pair of images and labels. Received a {type(images).__name__} of another kind. Write "
        "pictures of several sizes to a folder, and pass its path."
    )
