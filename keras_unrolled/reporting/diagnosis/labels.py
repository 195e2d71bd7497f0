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


def find_suspects(probabilities: np.ndarray, labels: Any) -> list[dict[str, Any]]:
    """The images whose label may be wrong, the likeliest first.

    An image is suspected if the probability of its label is below the mean confidence of that class,
    and the probability of another class is at or above the mean confidence of the other one: it is
    counted as that class in the confident joint. Of several such classes the likeliest is suggested.

    Args:
        probabilities: float array `(n, classes)`.
        labels: int array `(n,)` of class numbers.

    Returns:
        A list of dicts: "number" of the image, "label", "suggested" (class numbers),
        "label_probability", "suggested_probability" and "margin", the second less the first, by which
        they are ranked.

    Raises:
        InputError: as `find_confidence`.
    """
    probabilities, labels = _check(probabilities, labels)
    confidence = find_confidence(probabilities, labels)
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = np.where(probabilities >= confidence, probabilities, -np.inf)
    others[rows, labels] = -np.inf
    suggested = others.argmax(-1)
    best = others[rows, suggested]
    chosen = np.flatnonzero((own < confidence[labels]) & np.isfinite(best))
    margins = best[chosen] - own[chosen]
    return [
        {
            "number": int(i),
            "label": int(labels[i]),
            "suggested": int(suggested[i]),
            "label_probability": float(own[i]),
            "suggested_probability": float(best[i]),
            "margin": float(best[i] - own[i]),
        }
        for i in chosen[np.argsort(-margins, kind="stable")]
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
