"""How images are prepared for a network whose state dict does not tell."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.convert.pytorch.architecture import Architecture
from keras_unrolled.models.image_converter import MOST_PIXELS

# For networks with a stem for CIFAR. akamaster's program, with its three stages and its head
# "linear", takes ImageNet's statistics; kuangliu's and most others take these.
CIFAR_STATISTICS = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "lanczos3", "lanczos5")  # those of keras.ops
# Statistics are on a scale of 0 to 1, or a little wider; images are divided by the second.
_LEAST = {"mean": -10.0, "std": 1e-6}
_MOST = 10.0


def make_preprocessor(
    architecture: Architecture, has_linear: bool, changes: Mapping[str, Any] | None
) -> models.ImageClassifierPreprocessor:
    """The preprocessor of a network.

    Args:
        architecture: of the network.
        has_linear: bool, whether its head is named "linear".
        changes: optional dict, `preprocessing` of `from_torch`.

    Raises:
        InputError: for an entry of `changes` that is unknown, or impossible.
    """
    network = architecture.network
    imagenet = models.DATASETS["imagenet"]
    if network["stem"] == "imagenet":
        settings = dict(imagenet)
    else:
        of_akamaster = has_linear and len(network["stackwise_num_blocks"]) == 3
        statistics = imagenet if of_akamaster else CIFAR_STATISTICS
        chosen = {name: statistics[name] for name in CIFAR_STATISTICS}
        settings = {**models.DATASETS["cifar"], **chosen}
    names = (*(settings.keys() - {"num_classes"}), "interpolation", "crop_to_aspect_ratio")
    channels = network["image_shape"][-1]
    settings |= _check(changes, names, channels)
    return models.make_preprocessor(settings, network["image_shape"])


def _check(changes, names, channels):
    """The entries of `changes`, each in the form that `models.make_preprocessor` takes."""
    if changes is None:
        return {}
    if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
        raise checks.InputError(
            f"Expected `preprocessing` to be a dict with some of {', '.join(sorted(names))}. "
            f"Received: preprocessing={checks.first_line(repr(changes), 80)}. Write "
            'preprocessing={"image_size": 32}, for example.'
        )
    checks.check_names(changes, names, "preprocessing")
    checked = dict(changes)
    for name, value in changes.items():
        what = f'preprocessing["{name}"]'
        if name == "image_size":
            checked[name] = _check_size(what, value)
        elif name == "crop_fraction":
            checked[name] = checks.real(what, value, least=0.01, most=1)
        elif name == "interpolation":
            checks.one_of(what, value, INTERPOLATIONS)
        elif name == "crop_to_aspect_ratio":
            checks.flag(what, value)
        else:
            checked[name] = _check_statistics(what, value, channels, _LEAST[name])
    return checked


def _check_size(what, value):
    sides = _to_list(value)
    sides = [sides, sides] if isinstance(sides, int) else sides
    if not isinstance(sides, list) or len(sides) != 2:
        raise checks.InputError(
            f"Expected `{what}` to be (height, width), or one number for both. Received: "
            f"{checks.first_line(repr(value), 80)}. Write two whole numbers."
        )
    return tuple(checks.whole(what, side, least=1, most=MOST_PIXELS) for side in sides)


def _check_statistics(what, value, channels, least):
    values = _to_list(value)
    counts = sorted({1, 3, channels})
    if not isinstance(values, list) or len(values) not in counts:
        found = f"{len(values)} values" if isinstance(values, list) else "no list of numbers"
        raise checks.InputError(
            f"Expected `{what}` to be a list of {' or '.join(map(str, counts))} numbers, for a "
            f"network of images with {channels} channels. Received {found}: "
            f"{checks.first_line(repr(value), 80)}. Give one for each channel."
        )
    try:
        return [checks.real(what, number, least=least, most=_MOST) for number in values]
    except checks.InputError as error:
        raise checks.InputError(
            f"{error} It is on a scale where images go from 0 to 1: divide what goes to 255 by 255."
        ) from error


def _to_list(value):
    """Arrays, tensors and tuples of numbers as lists, numbers as they are, and None for others."""
    try:
        return np.asarray(value).tolist()
    except (TypeError, ValueError):  # lists of different lengths, and what is no number
        return None
