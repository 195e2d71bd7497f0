"""Scores of a classifier, computed in one way by training, the command line and the tests."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled import progress as bars
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.models.inputs import check_images

BATCH_SIZE = 250
DECODED = 16  # pictures of TFDS in memory at once; of files one, which may have 200 MB


def predict(model: Any, images: Any, *, progress: str | None = None) -> np.ndarray:
    """Class scores of raw images.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        images: uint8 array `(n, height, width, 3)`, a list or tuple of arrays `(height, width, 3)`
            each with its own size, one of paths of image files, or the images of `Examples`.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        float array `(n, num_classes)`. An image's scores do not depend on whether it is
        given in an array, a list or a file.

    Raises:
        InputError: for no images, or of another shape, or of more than 8 bits a value, and for a model that
            is no classifier of images; of other scales it warns.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.resnet(8, dataset="cifar")
        >>> ku.evaluation.predict(model, ku.data.load_sample().images[:3]).shape
        (3, 10)
    """
    if not hasattr(getattr(model, "backbone", None), "image_shape"):
        raise checks.InputError(
            f"Expected a classifier of images to predict with. Received a {type(model).__name__}. Load a preset "
            "with from_preset."
        )
    if isinstance(images, (list, tuple)):
        images = _read_list(images)
    if not hasattr(images, "__getitem__") or isinstance(images, (str, dict)):
        raise checks.InputError(
            f"Expected images as an array, or a list of arrays or of paths. Received a {type(images).__name__}. Of "
            "a tf.data.Dataset call model.predict(dataset); pass one picture as [picture], and of Examples "
            "their images."
        )
    if not len(images):
        raise checks.InputError("Expected images to score. Received none. Pass one at least.")
    check_images(images, model.backbone.image_shape[-1])
    network = keras.Model(model.inputs, model.outputs)
    network.compile(jit_compile=model.jit_compile)
    starts = range(0, len(images), BATCH_SIZE)
    bar = bars.progress(starts, description=progress, unit="batches", hidden=progress is None)
    return np.concatenate([network.predict_on_batch(_read(model, images, s)) for s in bar])


def _read_list(images):
    """A list of arrays, or `ImageFiles` of a list of paths."""
    are_paths = [isinstance(image, (str, Path)) for image in images]
    if images and all(are_paths):
        return ImageFiles([checks.readable("each image", path) for path in images])
    for image in images:
        if not hasattr(image, "shape"):
            found = "both" if any(are_paths) and not all(are_paths) else type(image).__name__
            raise checks.InputError(
                f"Expected a list of arrays (height, width, 3), or one of paths. Received {found} in it. Convert "
                "pictures of another kind with np.asarray(picture)."
            )
    return list(images)


def _read(model, images, start):
    """The network's input for one batch of images, a few of which are decoded at once."""
    stop = min(start + BATCH_SIZE, len(images))
    if not isinstance(images[start : start + 1], list):
        return _prepare(model, images[start:stop])
    step = 1 if isinstance(images, ImageFiles) else DECODED
    rows = []
    for at in range(start, stop, step):
        rows += [_prepare(model, image[None]) for image in images[at : min(at + step, stop)]]
    return np.concatenate(rows)


def _prepare(model, images):
    return keras.ops.convert_to_numpy(model.preprocessor(images))


def accuracy(scores: np.ndarray, labels: Any, top: int = 1) -> float:
    """The share of rows of `scores`, `(n, num_classes)`, with `labels` among the `top` largest.

    Raises:
        InputError: unless there is one label, a class number, for each row, and one row at least.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.from_preset("resnet_nobn_cifar10")
        >>> sample = ku.data.load_sample()
        >>> scores = ku.evaluation.predict(model, sample.images[:50])
        >>> bool(ku.evaluation.accuracy(scores, sample.labels[:50]) > 0.8)
        True
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or not len(scores) or labels.shape != scores.shape[:1]:
        raise checks.InputError(
            "Expected scores (n, num_classes) and a class number for each of the n rows. Received "
            f"shapes {scores.shape} and {labels.shape}. Of one-hot labels pass labels.argmax(-1)."
        )
    best = np.argsort(-scores, -1, kind="stable")[:, :top]
    return float(np.mean((best == labels[:, None]).any(-1)))
