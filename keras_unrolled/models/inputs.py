"""What is given to a classifier that would be taken in silence and make no sense."""

import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks

SCALE = "Expected images on a scale of 0 to 255. "
JOINERS = "\u200c\u200d"  # invisible as well, but part of the spelling of some languages


def tidy(name: str) -> str:
    """A name without what is not seen: how it is composed (NFC), white space, format characters.

    White space around it is removed, and within it becomes single spaces.
    """
    name = unicodedata.normalize("NFC", name)
    seen = (c for c in name if c in JOINERS or unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split())


def find_problem(name: str) -> str | None:
    """Why a string cannot be a class's name, or None."""
    control = next((c for c in name.strip() if unicodedata.category(c) == "Cc"), None)
    if control is not None:
        return f"with the control character {control!a} (U+{ord(control):04X}) in it"
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of a file name in another encoding
        return "which is not UTF-8"
    return None if tidy(name) else "which is empty"


def check_labels(labels: Any, num_classes: int | None = None) -> list[str]:
    """The names of classes as a list of strings.

    Args:
        labels: a sequence of strings or whole numbers.
        num_classes: optional int, how many there must be.

    Raises:
        InputError: for anything else, another number of them, and names that are empty or alike.
    """
    is_list = isinstance(labels, (list, tuple, range, np.ndarray)) or (
        isinstance(labels, Sequence) and not isinstance(labels, (str, bytes))
    )
    if not is_list:
        raise checks.InputError(
            f"Expected a list of labels, one for each class in its order. Received the "
            f'{type(labels).__name__} {labels!r:.80}. Write labels=["cat", "dog"].'.replace(
                "the str ", "the string "
            )
        )
    for label in labels:
        is_name = isinstance(label, (str, int, np.integer))
        problem = find_problem(str(label)) if is_name else "which is no name"
        if problem is not None:
            raise checks.InputError(
                f"Expected a name for each class. Received: {checks.first_line(ascii(label), 80)}, "
                f'{problem}. Write labels=["cat", "dog"].'
            )
    labels = [str(label) for label in labels]
    counts = Counter(map(tidy, labels))
    twice = [label for label in labels if counts[tidy(label)] > 1]
    if twice and len(labels) != 1000:  # ImageNet-1k has two cranes and two maillots
        raise checks.InputError(
            f"Expected a name of its own for each class. Received some twice: "
            f"{', '.join(map(repr, dict.fromkeys(twice[:5])))}. Rename them."
        )
    if num_classes is not None and len(labels) != num_classes:
        raise checks.InputError(
            f"Expected one label for each of {num_classes} classes. "
            f"Received {checks.count(len(labels), 'label')}. Give as many, or none."
        )
    return labels


def check_images(images: Any, channels: int = 3) -> None:
    """Looks whether images have the shape and the scale, 0 to 255, that a preprocessor takes.

    Warns of images that would be almost black: from 0 to 1, or normalized already.

    Args:
        images: array or tensor `(n, height, width, channels)`, or a list of arrays `(height, width,
            channels)`; anything else, such as a `tf.data.Dataset`, is not looked at.
        channels: int, of the network's images.

    Raises:
        InputError: as `check_form`, and for NaN, whole numbers outside of 0 to 255, and floats far
            above 255, which would be almost white.
    """
    parts = [part for part in check_form(images, channels) if part.dtype.kind in "fiu"]
    if not parts:
        return
    bounds = [(part.min(), part.max()) for part in parts]
    for part, (low, high) in zip(parts, bounds):
        if not np.isfinite([low, high]).all():
            raise checks.InputError(
                f"{SCALE}Received NaN or infinity. Find the images that have it: "
                "np.isfinite(images).all((1, 2, 3))."
            )
        if high > 1023 or (part.dtype.kind in "iu" and (low < 0 or high > 255)):
            raise checks.InputError(  # what resizing adds to floats is less
                f"{SCALE}Received values from {low:,.0f} to {high:,.0f} ({part.dtype}). Scale them to 0 "
                "to 255. Divide those of 16 bits by 257."
            )
    low, high = float(min(low for low, _ in bounds)), float(max(high for _, high in bounds))
    if low >= 0 and 0 < high <= 1:
        _warn(f"{SCALE}Received values from 0 to 1, which are almost black. Multiply them by 255.")
    elif low <= -16:
        _warn(f"{SCALE}Received values from {low:.4g} to {high:.4g}. Add what was taken from them.")
    elif -16 < low < 0 and high < 16:
        _warn(
            f"{SCALE}Received values from {low:.2g} to {high:.2g}, as of images that are normalized "
            "already. The network's preprocessor does that: pass the images as they are."
        )


def check_form(images: Any, channels: int | None = None) -> list[np.ndarray]:
    """The arrays in what `check_images` takes.

    Args:
        images: as in `check_images`.
        channels: optional int, of the images; None for any number.

    Raises:
        InputError: for another shape, no images, and for arrays of booleans or anything but numbers.
    """
    is_list = isinstance(images, list)
    parts = images if is_list else [images]
    parts = [np.asarray(p) for p in parts if keras.ops.is_tensor(p) or isinstance(p, np.ndarray)]
    for part in parts:
        _check_shape(part, "" if is_list else "n, ", channels)
        if not part.size:
            raise checks.InputError("Expected images. Received none. Pass one at least.")
    others = [p.dtype for p in parts if p.dtype.kind not in "fiu" and str(p.dtype) != "bfloat16"]
    if others or images is None or isinstance(images, (str, PurePath)):
        raise checks.InputError(
            f"Expected images as numbers. Received: {others[0] if others else repr(images)[:80]}. Read "
            "files with keras_unrolled.data.read_image, and np.stack those of one size; of a mask pass "
            "255 * mask.astype('uint8')."
        )
    return parts


def _check_shape(part, batch, channels):
    shape, rank = part.shape, 4 if batch else 3
    if len(shape) == rank and channels in (None, shape[-1]):
        return
    if len(shape) == 3 and rank == 4 and shape[-1] == (channels or 3):
        advice = "Of a single image pass images[None]"
    elif len(shape) == rank and shape[-3] == channels:
        advice = "Move the channels to the end: np.moveaxis(images, -3, -1)"
    else:
        advice = "Convert the images, such as with Pillow's convert('RGB')"
    raise checks.InputError(
        f"Expected images ({batch}height, width, {channels or 'channels'}). Received the shape {shape} "
        f"({part.dtype}). {advice}."
    )


def _warn(message):
    warnings.warn(message, stacklevel=4)
