"""Probabilities of images that a classifier was trained on, out of sample: by linear classifiers in folds."""

from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.labels import read_labels

FOLDS = 5
PENALTY = 10.0  # of half the squared weights, next to the sum of the images' losses
STEPS, CLOSE = 300, 1e-5  # at most; largest slope at which the fit ends


def assign_folds(labels: Any, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Divides images into folds at random, each class evenly.

    Args:
        labels: int array `(n,)` of class numbers.
        folds: int.
        seed: int.

    Returns:
        int64 array `(n,)`, the fold of each image, from 0.

    Raises:
        InputError: for images of one class, and for a class with fewer images than folds.
    """
    labels = read_labels(labels, len(np.atleast_1d(labels)))
    checks.whole("folds", folds, least=2, most=1_000)
    counts = np.bincount(labels)
    present = np.flatnonzero(counts)
    least = present[counts[present].argmin()]
    if len(present) < 2 or counts[least] < folds:
        found = (
            f"images of class {present[0]} only"
            if len(present) < 2
            else f"{checks.count(int(counts[least]), 'image')} of class {least}"
        )
        raise checks.InputError(
            f"Expected images of two classes or more, and {folds} or more of each, one for each fold. Received "
            f"{found}. Add images, or use fewer folds."
        )
    rng = np.random.default_rng(seed)
    assigned, start = np.empty(len(labels), "int64"), 0
    for index in present:  # the next class goes on with the fold after the last one's
        members = rng.permutation(np.flatnonzero(labels == index))
        assigned[members] = (start + np.arange(len(members))) % folds
        start += len(members)
    return assigned


def fit_linear(
    features: np.ndarray, labels: np.ndarray, count: int, penalty: float = PENALTY
) -> np.ndarray:
    """Multinomial logistic regression, with the squared weights of all but the constant penalized.

    Newton's method with one bound of all Hessians (Böhning 1992) and Nesterov's momentum.

    Args:
        features: float array `(n, d)`.
        labels: int array `(n,)`, from 0 to `count - 1`.
        count: int, classes.
        penalty: float above 0, of half the squared weights next to the sum of the losses.

    Returns:
        float64 array `(d + 1, count)`, weights and in the last row the constants.
    """
    x = np.hstack([features, np.ones((len(features), 1))])
    target, ridge = np.eye(count)[labels], np.full(x.shape[1], float(penalty))
    ridge[-1] = 1e-6  # any sum of the constants gives the same probabilities
    inverse = np.linalg.inv(x.T @ x / 2 + np.diag(ridge))
    weights = ahead = np.zeros((x.shape[1], count))
    slope_before, momentum = np.inf, 1.0
    for _ in range(STEPS):
        slope = x.T @ (softmax(x @ ahead) - target) + ridge[:, None] * ahead
        size = np.abs(slope).max() / len(x)
        if size < CLOSE:
            return ahead
        momentum = 1.0 if size > slope_before else momentum  # it went too far
        before, weights = weights, ahead - inverse @ slope
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = weights + (momentum - 1) / following * (weights - before)
        slope_before, momentum = size, following
    return weights


def softmax(scores: np.ndarray) -> np.ndarray:
    """The probabilities of logits, along the last axis."""
    p = np.exp(scores - scores.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def score_out_of_fold(
    features: np.ndarray,
    labels: Any,
    count: int,
    folds: int = FOLDS,
    seed: int = 0,
    penalty: float = PENALTY,
) -> np.ndarray:
    """The probabilities of each image by a linear classifier that was trained on the other folds.

    Features are scaled to mean 0 and standard deviation 1 of the images that are trained on.

    Args:
        features: float array `(n, d)`, of a network that was not trained on these labels.
        labels: int array `(n,)` of class numbers.
        count: int, classes; those without images get a probability of 0.
        folds: int.
        seed: int, of the folds.
        penalty: float, as of `fit_linear`.

    Returns:
        float64 array `(n, count)`.

    Raises:
        InputError: as `assign_folds`.
    """
    assigned = assign_folds(labels, folds, seed)
    present, numbers = np.unique(labels, return_inverse=True)
    features = np.asarray(features, "float64")
    p = np.zeros((len(features), count))
    for fold in range(folds):
        inside = assigned == fold
        rest = features[~inside]
        mean, scale = rest.mean(0), rest.std(0)
        scale[scale < 1e-6 * max(1e-30, scale.max())] = np.inf  # constant
        rest, other = (rest - mean) / scale, (features[inside] - mean) / scale
        if len(rest) < rest.shape[1]:  # weights are zero outside of what the images span
            basis = np.linalg.qr(rest.T)[0]
            rest, other = rest @ basis, other @ basis
        weights = fit_linear(rest, numbers[~inside], len(present), penalty)
        scores = other @ weights[:-1] + weights[-1]
        p[np.ix_(np.flatnonzero(inside), present)] = softmax(scores)
    return p
