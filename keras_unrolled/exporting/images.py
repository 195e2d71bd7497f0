"""Images that a network is calibrated and checked with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from keras_unrolled import checks, data
from keras_unrolled.data.broken import check_images
from keras_unrolled.data.loading import choose
from keras_unrolled.data.memory import as_bytes, as_examples, is_path

CHECKED = 64  # images of the sample that an exported file is run with
CALIBRATING = 500  # images at most, half of which are scored
READ = 10  # images at a time: to open TFDS's files takes as long as to read a hundred
MOST_BYTES = 2**28  # of images in memory, where they become float32


@dataclass(frozen=True)
class Calibration:
    """Images for int8, half of which are left to score it.

    Args:
        images: uint8 array `(n, height, width, channels)` to calibrate with.
        held: uint8 array of as many images, to score.
        labels: int array of their class numbers, or None if they have other classes than the network.
        notes: what a user should know of how the images were read.
    """

    images: np.ndarray
    held: np.ndarray
    labels: np.ndarray | None
    notes: tuple[str, ...] = ()


def read_sample(model: Any, size: tuple[int, int] | None) -> np.ndarray:
    """Pictures of the bundled sample, as uint8 `(n, height, width, channels)`.

    Args:
        model: an `ImageClassifier`.
        size: `(height, width)`, or None to keep theirs.
    """
    images = data.load_sample().images
    channels = model.backbone.image_shape[-1]
    size = images.shape[1:3] if size is None else size
    count = min(CHECKED, _affordable(size, channels))
    if channels == 1:
        images = _to_gray(images)
    elif channels != 3:
        images = images[..., np.arange(channels) % 3]
    return np.stack([_fit(model, image, size) for image in images[:count]])


def read_calibration(source: Any, model: Any, size: tuple[int, int], data_dir: Any) -> Calibration:
    """Images of a data set for int8, at most `CALIBRATING`, drawn evenly over its classes.

    Args:
        source: "sample", what `data.load` takes, or images in memory as `data.memory.as_examples` takes
            them.
        model: an `ImageClassifier`.
        size: `(height, width)` of the images.
        data_dir: TFDS's data directory.

    Raises:
        InputError: if there are fewer than two images, they cannot be read, or the network needs others.
    """
    examples, has_labels = _load(source, model, data_dir)
    channels = model.backbone.image_shape[-1]
    most = min(CALIBRATING, max(2, _affordable(size, channels)))
    examples = check_images(choose(examples, most), skip=None)
    if len(examples) < 2:
        raise checks.InputError(
            "Expected two images or more, one to calibrate with and one to score. Found "
            f"{len(examples)}. Add images: a hundred or more are usual."
        )
    images = np.stack([_fit(model, image, size) for image in _iterate(examples, channels)])
    aligned = _align(examples, model) if has_labels else None
    # Of data in the order of their classes both halves have all of them.
    return Calibration(
        images[::2],
        images[1::2],
        None if aligned is None else aligned.labels[1::2],
        (aligned or examples).notes,
    )


def _load(source, model, data_dir):
    channels = model.backbone.image_shape[-1]
    if not is_path(source):
        examples, has_labels = as_examples(source, model.labels, model.num_classes)
        return as_bytes(examples, channels), has_labels
    if channels not in (1, 3):
        raise checks.InputError(
            f"Expected images of {channels} channels to calibrate with. Received {str(source)!r}, whose "
            "pictures have three. Pass an array of uint8 images (in Python: calibration=...)."
        )
    if str(source) == "sample":
        return data.load_sample(), True
    return data.load(source, data_dir), True


def _iterate(examples, channels):
    """Every image as an array `(height, width, channels)`; of files `READ` are in memory at a time."""
    for start in range(0, len(examples), READ):
        for image in examples.images[start : start + READ]:
            yield _to_gray(image) if channels == 1 and image.shape[-1] == 3 else image


def _align(examples, model):
    """Examples with the network's class numbers, or None for those of other classes."""
    try:
        return data.align(examples, model.labels, count=model.num_classes)
    except checks.InputError:
        return None


def _fit(model, image, size):
    """An image at a size: as the preprocessor does, squeezed or with its proportions kept."""
    if image.shape[:2] == tuple(size):
        return image
    converter = model.preprocessor.image_converter
    resize = ImageOps.fit if converter.crop_to_aspect_ratio else Image.Image.resize
    height, width = size
    # Channel by channel: pictures of Pillow have three or four.
    channels = (Image.fromarray(image[..., i]) for i in range(image.shape[-1]))
    fitted = [resize(c, (width, height), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c) for c in fitted], -1)


def _to_gray(images):
    """The brightness of RGB images, as Pillow computes it, `(..., 1)`."""
    gray = images @ np.array([0.299, 0.587, 0.114])
    return np.rint(gray)[..., None].astype("uint8")


def _affordable(size, channels):
    """How many images fit into `MOST_BYTES`."""
    return max(1, MOST_BYTES // (size[0] * size[1] * channels))
