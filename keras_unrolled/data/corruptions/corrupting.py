"""Corruptions by name, severity and seed."""

from collections.abc import Callable

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.corruptions import blurs, digital, noise, weather

SIZE = 32
SEVERITIES = (1, 2, 3, 4, 5)
_FUNCTIONS = (
    noise.gaussian_noise,
    noise.shot_noise,
    noise.impulse_noise,
    blurs.defocus_blur,
    blurs.glass_blur,
    blurs.motion_blur,
    blurs.zoom_blur,
    weather.snow,
    weather.fog,
    weather.brightness,
    digital.contrast,
    digital.elastic_transform,
    digital.pixelate,
    digital.jpeg_compression,
)
# In the order of the paper, without frost. The place is part of the seed.
KINDS: dict[str, Callable] = {function.__name__: function for function in _FUNCTIONS}


def corrupt(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """Pictures with one of the common corruptions of Hendrycks & Dietterich 2019, as in CIFAR-10-C.

    The result follows from the picture, its place among the images, kind, severity and seed, and not from
    the other images.

    Args:
        images: uint8 array `(n, 32, 32, 3)`.
        kind: string, one of `KINDS`, such as "fog".
        severity: int, 1 to 5.
        seed: int.

    Returns:
        A uint8 array of the same shape.

    Raises:
        InputError: for other images, an unknown kind, and a number out of range.

    Example:
        >>> import keras_unrolled as ku
        >>> image = ku.data.load_sample().images[:1]
        >>> pale = ku.data.corrupt(image, "contrast", 5)
        >>> pale.shape, bool(pale[..., 0].std() < image[..., 0].std() / 5)
        ((1, 32, 32, 3), True)
    """
    checks.one_of("kind", kind, KINDS)
    checks.whole("severity", severity, least=SEVERITIES[0], most=SEVERITIES[-1])
    checks.whole("seed", seed, least=0, most=2**32 - 1)
    shape, dtype = getattr(images, "shape", None), getattr(images, "dtype", None)
    if shape is None or shape[1:] != (SIZE, SIZE, 3) or dtype != np.uint8:
        raise checks.InputError(
            f"Expected a uint8 array of pictures (n, {SIZE}, {SIZE}, 3), for which the corruptions are "
            f"defined. Received: {dtype or type(images).__name__} {shape or ''}. Resize the pictures."
        )
    if not len(images):
        return images.copy()
    number = list(KINDS).index(kind)
    generators = [np.random.default_rng([seed, number, severity, i]) for i in range(len(images))]
    values = KINDS[kind](images / 255, severity, generators)
    # Cut, not rounded, as in the files of CIFAR-10-C; without what float64 is short of a whole number.
    return (np.clip(values, 0, 1) * 255 + 1e-6).astype("uint8")
