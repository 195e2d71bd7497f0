"""Labels that may be wrong: confident learning (Northcutt, Jiang & Chuang 2021), without training."""

from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.labels import read_labels


def find_confidence(probabilities: np.ndarray, labels: Any) -> np.ndarray:
    """The mean probability of each class over the images that are labeled so, its threshold.

    Args:
        probabilities: float array `(n, classes)`.
        labels: int array `(n,)` of class numbers.

    Returns:
        float array `(classes,)`, infinite for a class without images, which nothing is above.

    Raises:
        InputError: unless there are probabilities and a class number for each row.
    """
    probabilities, labels = _check(probabilities, labels)
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, own, minlength=count)
    numbers = np.bincount(labels, minlength=count)
    return np.where(numbers > 0, sums / np.maximum(1, numbers), np.inf)


def count_errors(probabilities: np.ndarray, labels: Any) -> int:
    """How many labels are wrong, by the confident joint.

    An image is counted as the likeliest of the classes whose probability is at or above their mean
    confidence, and not at all if there is none. The counts of each label are then scaled to all images
    of the label (Northcutt, Jiang & Chuang 2021, equations 1 and 3).

    Args:
        probabilities: float array `(n, classes)`.
        labels: int array `(n,)` of class numbers.

    Returns:
        An int, the sum of the counts off the diagonal, rounded.

    Raises:
        InputError: as `find_confidence`.
    """
    probabilities, labels = _check(probabilities, labels)
    count = probabilities.shape[1]
    above = np.where(probabilities >= find_confidence(probabilities, labels), probabilities, -1)
    counted = np.flatnonzero(above.max(-1) >= 0)
    pairs = labels[counted] * count + above[counted].argmax(-1)
    joint = np.bincount(pairs, minlength=count * count).reshape(count, count)
    off = joint.sum(1) - joint.diagonal()
    numbers = np.bincount(labels, minlength=count)
    return round(float((off * numbers / np.maximum(1, joint.sum(1))).sum()))


def find_suspects(probabilities: np.ndarray, labels: Any) -> list[dict[str, Any]]:
    """The images whose label may be wrong, the likeliest first.

    As many images are suspected as `count_errors` estimates wrong labels, the ones with the lowest
    probability of their label among those that are answered otherwise. The answer is suggested.

    The probabilities should come from a network that was not trained on the images, or from as many
    networks, each trained without a part of them: one that has learned a wrong label by heart gives it
    a high probability.

    Args:
        probabilities: float array `(n, classes)`.
        labels: int array `(n,)` of class numbers.

    Returns:
        A list of dicts: "number" of the image, "label", "suggested" (class numbers),
        "label_probability", by which they are ranked, "suggested_probability" and "margin", the second
        less the first.

    Raises:
        InputError: as `find_confidence`.
    """
    probabilities, labels = _check(probabilities, labels)
    rows = np.arange(len(labels))
    own, answers = probabilities[rows, labels], probabilities.argmax(-1)
    wrong = np.flatnonzero(probabilities[rows, answers] > own)
    most = count_errors(probabilities, labels)
    return [
        {
            "number": int(i),
            "label": int(labels[i]),
            "suggested": int(answers[i]),
            "label_probability": float(own[i]),
            "suggested_probability": float(probabilities[i, answers[i]]),
            "margin": float(probabilities[i, answers[i]] - own[i]),
        }
        for i in wrong[np.argsort(own[wrong], kind="stable")][:most]
    ]


def _check(probabilities, labels):
    probabilities = np.asarray(probabilities, "float64")
    fits = probabilities.ndim == 2 and probabilities.size
    if not fits or not ((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all():
        raise checks.InputError(
            "Expected probabilities (n, classes) from 0 to 1. Received "
            f"{'others' if fits else f'the shape {probabilities.shape}'}. Of logits pass the softmax."
        )
    return probabilities, read_labels(labels, len(probabilities), probabilities.shape[1])
