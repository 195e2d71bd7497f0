"""One pass over labeled pictures: scores, those of mirror images, features, and hashes of pixels."""

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled import progress as bars
from keras_unrolled.analysis.pieces import kind_of
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.models.inputs import check_images
from keras_unrolled.reporting.diagnosis.pictures import hash_picture, shrink_picture

BATCH_SIZE = 250
DECODED = 16  # pictures of TFDS in memory at once; of files one, which may have 200 MB
LEAST = 1e-30  # a probability whose logarithm is taken


@dataclass
class Seen:
    """What a pass has found; every array has a row for each of n pictures.

    Args:
        scores: float32 `(n, classes)`, logits or logarithms of probabilities.
        mirrored: the same of the mirror images, or None.
        features: float32 `(n, channels)`, the pooled output of the backbone.
        hashes: uint64 `(n,)`, of `hash_picture`.
        digests: uint64 `(n,)`, the first bytes of the sha256 of each picture's pixels.
        sizes: int `(n, 2)`, height and width.
        thumbnails: uint8 `(n, 32, 32)`, of `shrink_picture`.
    """

    scores: np.ndarray
    mirrored: np.ndarray | None
    features: np.ndarray
    hashes: np.ndarray
    digests: np.ndarray
    sizes: np.ndarray
    thumbnails: np.ndarray


def look(model: Any, images: Any, *, mirror: bool = True, progress: str | None = None) -> Seen:
    """Passes pictures through a classifier once.

    The mirror image is that of the network's input, after resizing and cropping.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        images: array `(n, height, width, channels)` on a scale of 0 to 255, `ImageFiles` or
            `TFDSImages`.
        mirror: bool, whether mirror images are scored, too.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        `Seen`.

    Raises:
        InputError: for a model without a preprocessor or with scores of another kind, and for images
            of another shape or scale.
    """
    if model.preprocessor is None:
        raise checks.InputError(
            "Expected a classifier with a preprocessor, for pictures as they are. Received one without. "
            "Build it with preprocessor=..., or load a preset."
        )
    kind = kind_of(model.output_dense.activation)
    check_images(images, model.backbone.image_shape[-1])
    network = keras.Model(model.inputs, [model.outputs[0], model.pooler.output])
    network.compile(jit_compile=model.jit_compile)
    found: dict[str, list[Any]] = {name: [] for name in Seen.__dataclass_fields__}
    starts = range(0, len(images), BATCH_SIZE)
    for start in bars.progress(
        starts, description=progress, unit="batches", hidden=progress is None
    ):
        x = _read(model, images, start, found)
        scores, features = network.predict_on_batch(x)
        found["scores"].append(_as_logits(scores, kind))
        found["features"].append(np.asarray(features, "float32"))
        if mirror:
            scores, _ = network.predict_on_batch(np.ascontiguousarray(x[:, :, ::-1]))
            found["mirrored"].append(_as_logits(scores, kind))
    mirrored = found.pop("mirrored")
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    return Seen(mirrored=np.concatenate(mirrored) if mirror else None, **arrays)


def _read(model, images, start, found):
    """The network's input for one batch; notes hashes and sizes of the pictures."""
    stop = min(start + BATCH_SIZE, len(images))
    if isinstance(images, np.ndarray):
        _note(images[start:stop], found)
        return _prepare(model, images[start:stop])
    step = 1 if isinstance(images, ImageFiles) else DECODED
    rows = []
    for at in range(start, stop, step):
        some = images[at : min(at + step, stop)]
        _note(some, found)
        rows += [_prepare(model, image[None]) for image in some]
    return np.concatenate(rows)


def _note(images, found):
    found["hashes"].append(np.array([hash_picture(image) for image in images], "uint64"))
    found["digests"].append(np.array([_digest(image) for image in images], "uint64"))
    found["sizes"].append(np.array([image.shape[:2] for image in images], "int64"))
    found["thumbnails"].append(np.stack([shrink_picture(image) for image in images]))


def _digest(image):
    """The first eight bytes of a hash of a picture's pixels and shape."""
    found = hashlib.sha256(repr(image.shape).encode())
    found.update(np.ascontiguousarray(image).data)
    return int.from_bytes(found.digest()[:8])


def _prepare(model, images):
    return keras.ops.convert_to_numpy(model.preprocessor(images))


def _as_logits(scores, kind):
    scores = np.asarray(scores, "float32")
    return scores if kind == "logits" else np.log(np.maximum(scores, LEAST))
