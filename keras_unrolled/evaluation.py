"""Scores of a classifier, computed in one way by training, the command line and the tests."""

import sys

import numpy as np
from tqdm import tqdm

BATCH_SIZE = 250


def predict(model, images, *, progress=None):
    """Class scores of raw images.

    Args:
        model: an `ImageClassifier`; with a preprocessor, images may be raw.
        images: uint8 array `(n, height, width, 3)`.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        float array `(n, num_classes)`.
    """
    starts = range(0, len(images), BATCH_SIZE)
    if progress is not None:
        starts = tqdm(starts, desc=progress, unit=" batches", file=sys.stderr)
    # One batch a call: `predict` draws its own bar on standard output, or none.
    return np.concatenate([model.predict(images[i : i + BATCH_SIZE], verbose=0) for i in starts])


def accuracy(scores, labels):
    """The share of rows of `scores`, `(n, num_classes)`, whose largest entry is `labels`."""
    return float(np.mean(np.argmax(scores, -1) == labels))


def loss(scores, labels):
    """Mean cross-entropy in nats of logits `(n, num_classes)` for int labels `(n,)`."""
    scores = np.asarray(scores, "float64")
    top = scores.max(-1, keepdims=True)
    log_sum = np.log(np.exp(scores - top).sum(-1)) + top[:, 0]
    return float(np.mean(log_sum - scores[np.arange(len(labels)), labels]))
