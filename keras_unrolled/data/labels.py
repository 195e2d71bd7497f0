"""Class numbers as users give them."""

from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.models.image_classifier import MOST_CLASSES


def as_array(labels: Any) -> np.ndarray:
    """Labels as an array, else raises `InputError` for lists of several lengths."""
    try:
        return np.asarray(labels)
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"Expected a class number for each image. Received a {type(labels).__name__} that is no "
            "array. Pass an int array (n,)."
        ) from error


def read_labels(labels: Any, n: int, count: int | None = None) -> np.ndarray:
    """Class numbers as an int64 array `(n,)`.

    Args:
        labels: array or list `(n,)` of whole numbers, which may be floats.
        n: int, the number of images.
        count: optional int, the number of classes.

    Raises:
        InputError: for anything else, with what is wrong and how to convert it.
    """
    labels = as_array(labels)
    problem = _find_problem(labels, n, count or MOST_CLASSES)
    if problem is not None:
        last = f" to {count - 1:,}" if count else ""
        raise checks.InputError(
            f"Expected a class number from 0{last} for each of {checks.count(n, 'image')}. Received "
            f"labels {problem}"
        )
    return labels.astype("int64")


def _find_problem(labels, n, count):
    """What is wrong with labels and what to do, or None."""
    shape, kind = f"of shape {labels.shape}", labels.dtype.kind
    if labels.ndim == 2 and len(labels):
        advice = "labels[:, 0]" if labels.shape[1] == 1 else "labels.argmax(-1) of one-hot labels"
        return f"{shape}. Pass {advice}."
    if labels.shape != (n,):
        return f"{shape}. Pass one for each image."
    if not n:
        return f"{shape}. Pass one image at least."
    if isinstance(labels[0], (str, bytes)):
        return (
            f"that are strings, such as {str(labels[0])!r:.80}. Pass keras_unrolled.data.Examples(images, "
            "numbers, names, 'mine'), with names, numbers = np.unique(labels, return_inverse=True)."
        )
    if kind == "b":
        return "that are True or False. Pass labels.astype(int)."
    if kind not in "iuf":
        return f"of type {labels.dtype}. Pass an array of ints."
    if kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        return f"of type {labels.dtype} that are not whole numbers. Pass an array of ints."
    low, high = labels.min(), labels.max()
    if low < 0 or high >= count:
        return f"from {low:,.0f} to {high:,.0f}. Number the classes from 0."
    return None
