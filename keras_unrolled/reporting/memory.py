"""Images and networks in memory, as a report takes them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from keras_unrolled import analysis, checks, data, models
from keras_unrolled.analysis.stack import BlockStack
from keras_unrolled.presets.loading import from_preset

WHERE = "images in memory"


def is_path(value: Any) -> bool:
    """Whether data or a preset are named, not in memory."""
    return value is None or isinstance(value, (str, Path))


def load_network(preset: Any) -> tuple[Any, BlockStack, str]:
    """A network, its `BlockStack`, and what to call it.

    Args:
        preset: what `from_preset` or `analysis.as_stack` takes.

    Returns:
        An `ImageClassifier` or a `CharacterLM`; of another network an object with "labels", None, and
        "num_classes". The stack. A string.

    Raises:
        InputError: for what neither takes.
    """
    if is_path(preset):
        model = from_preset(preset)
        return model, analysis.as_stack(model), str(preset)
    stack = analysis.as_stack(preset)
    name = str(getattr(stack.model, "name", "network"))
    if isinstance(stack.model, (models.ImageClassifier, models.CharacterLM)):
        return stack.model, stack, name
    return SimpleNamespace(labels=None, num_classes=stack.num_classes), stack, name


def as_examples(dataset: Any, model: Any) -> tuple[data.Examples, bool]:
    """Images in memory as `Examples`, and whether they have labels.

    Args:
        dataset: `Examples`; uint8 array `(n, height, width, channels)` or a list of arrays of one
            shape; or a pair of these and of class numbers, an int array `(n,)`.
        model: has `labels`, a list of strings or None, and `num_classes`.

    Raises:
        InputError: for anything else.
    """
    if isinstance(dataset, data.Examples):
        return dataset, True
    has_labels = isinstance(dataset, tuple)
    images, labels = dataset if has_labels and len(dataset) == 2 else (dataset, None)
    images = _stack(images)
    count, names = model.num_classes, tuple(model.labels or map(str, range(model.num_classes or 1)))
    if labels is None:
        return data.Examples(images, np.zeros(len(images), "int64"), names, WHERE), False
    labels = np.asarray(labels)
    whole = labels.dtype.kind in "iu" and labels.shape == (len(images),)
    if not whole or labels.min() < 0 or (count and labels.max() >= count):
        raise checks.InputError(
            f"Expected a class number, 0 to {(count or 1) - 1}, for each of {len(images):,} images. "
            f"Received labels of shape {labels.shape} and type {labels.dtype}. Pass an array of ints; of "
            "one-hot labels pass labels.argmax(-1)."
        )
    return data.Examples(images, labels.astype("int64"), names, WHERE), True


def _stack(images):
    try:
        found = np.asarray(images)
    except (ValueError, TypeError):  # of several shapes
        found = np.zeros(0)
    if found.ndim != 4 or not len(found) or found.dtype.kind not in "uif":
        raise checks.InputError(
            "Expected the name or path of data, Examples, an array of images (n, height, width, channels), "
            f"or a pair of images and labels. Received a {type(images).__name__} of another kind. Write "
            "pictures of several sizes to a folder, and pass its path."
        )
    return found
