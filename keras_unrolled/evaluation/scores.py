"""Scores of a classifier, computed in one way by training, the command line and the tests."""

import sys

import keras
import numpy as np
from tqdm import tqdm

BATCH_SIZE = 250


def predict(model, images, *, progress=None):
    """Class scores of raw images.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        images: uint8 array `(n, height, width, 3)`, a list of arrays `(height, width, 3)`
            each of its own size, or `Files` or `Records` of
            `keras_unrolled.data`.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        float array `(n, num_classes)`. An image's scores do not depend on whether it came
        in an array, a list or a file.
    """
    network = keras.Model(model.inputs, model.outputs)
    network.compile(jit_compile=model.jit_compile)
    scores = []
    with tqdm(
        range(0, len(images), BATCH_SIZE),
        desc=progress,
        unit=" batches",
        file=sys.stderr,
        disable=progress is None,
    ) as starts:
        for start in starts:
            batch = images[start : start + BATCH_SIZE]
            if isinstance(batch, list):
                batch = np.concatenate([_prepare(model, image[None]) for image in batch])
            else:
                batch = _prepare(model, batch)
            scores.append(network.predict_on_batch(batch))
    return np.concatenate(scores)


def _prepare(model, images):
    return keras.ops.convert_to_numpy(model.preprocessor(images))


def accuracy(scores, labels, top=1):
    """The share of rows of `scores`, `(n, num_classes)`, with `labels` among the `top` largest."""
    best = np.argsort(-scores, -1, kind="stable")[:, :top]
    return float(np.mean((best == np.asarray(labels)[:, None]).any(-1)))
