"""Images in memory, and what `Examples` that somebody has made must be."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.labels import read_labels
from keras_unrolled.models.inputs import check_form, check_images, check_labels

WHERE = "images in memory"


def is_path(value: Any) -> bool:
    """Whether data or a preset are named, not in memory."""
    return value is None or isinstance(value, (str, Path))


def as_examples(dataset: Any, names: Any = None, count: int | None = None) -> tuple[Examples, bool]:
    """Images in memory as `Examples`, and whether they have labels.

    Args:
        dataset: `Examples`; an array `(n, height, width, channels)` or a list of arrays of one
            shape; or a pair of these and of class numbers as `read_labels` takes them.
        names: optional list of the classes' names; by default they are numbers.
        count: optional int, the number of classes; the default follows from the labels.

    Raises:
        InputError: for anything else.
    """
    if isinstance(dataset, Examples):
        return check_examples(dataset), True
    has_labels = isinstance(dataset, tuple)
    images, labels = dataset if has_labels and len(dataset) == 2 else (dataset, None)
    images = _stack(images)
    if labels is None:
        names = tuple(names or map(str, range(count or 1)))
        return Examples(images, np.zeros(len(images), "int64"), names, WHERE), False
    labels = read_labels(labels, len(images), count)
    names = tuple(names or map(str, range(count or int(labels.max()) + 1)))
    return Examples(images, labels, names, WHERE), True


def check_examples(examples: Examples) -> Examples:
    """Examples with images in an array or files, int64 labels, and names in a tuple.

    Raises:
        InputError: if images, labels and names do not go together.
    """
    names, images = tuple(check_labels(examples.names)), examples.images
    images = images if hasattr(images, "part") else _stack(images)
    labels = read_labels(examples.labels, len(images), len(names))
    return dataclasses.replace(examples, images=images, labels=labels, names=names)


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


def _stack(images):
    try:
        array = np.asarray(images)
    except (ValueError, TypeError):  # of several shapes
        array = np.asarray(None)
    if not isinstance(images, np.ndarray) and (not array.ndim or array.dtype.kind in "OSU"):
        raise checks.InputError(
            "Expected the name or path of data, Examples, an array of images (n, height, width, "
            "channels), or a pair of images and labels, which is a tuple. Received: "
            f"{type(images).__name__}. Write pictures of several sizes to a folder, and pass its path."
        )
    check_form(array)
    return array
