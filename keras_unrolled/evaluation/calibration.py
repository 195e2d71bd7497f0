"""How well a classifier's probabilities fit: proper scores, calibration error, and a temperature."""

import math
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.labels import read_labels
from keras_unrolled.evaluation.comparison import wilson_interval

BINS = 15  # as Guo et al. (2017) have it
COLDEST, HOTTEST = 0.01, 100.0  # temperatures
STEPS = 200  # Newton's at most; about eight are needed


def log_softmax(scores: Any, temperature: float = 1.0) -> np.ndarray:
    """The logarithms of the probabilities of scores that are divided by a temperature.

    Args:
        scores: array `(n, classes)` of logits, or of logarithms of probabilities.
        temperature: float above 0; more than 1 moves the probabilities towards each other.

    Returns:
        float64 array `(n, classes)`.

    Raises:
        InputError: for another shape, no rows, or scores that are not finite.
    """
    scaled = _check_scores(scores) / checks.real("temperature", temperature, least=1e-6, most=1e6)
    scaled -= scaled.max(-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))


def fit_temperature(scores: Any, labels: Any) -> float:
    """The temperature at which scores have the least negative log-likelihood (Guo et al. 2017).

    The likelihood is concave in 1 / temperature, where Newton's method with a bracket finds the only
    maximum. No answer changes, only how sure it is. Fit it on images that are not scored afterwards.

    Args:
        scores: array `(n, classes)` of logits, or of logarithms of probabilities.
        labels: int array `(n,)` of class numbers.

    Returns:
        A float from 0.01 to 100; 0.01 if every answer is right, since the likelihood then has no
        maximum, and 1 if every class has the same score in every row.

    Raises:
        InputError: for another shape, no rows, scores that are not finite, and labels that are no
            class numbers.

    Example:
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> scores = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
        >>> temperature = ku.evaluation.fit_temperature(scores, np.array([0, 0, 0, 1]))
        >>> round(4 / temperature, 4)  # log(3): three of four are right
        1.0986
    """
    scores, labels = _check_both(scores, labels)
    scores = scores - scores.max(-1, keepdims=True)
    right = scores[np.arange(len(scores)), labels].mean()
    if right == 0 and scores.any():
        return COLDEST
    low, high, inverse = 1 / HOTTEST, 1 / COLDEST, 1.0
    for _ in range(STEPS):
        weights = np.exp(inverse * scores)
        weights /= weights.sum(-1, keepdims=True)
        means = (weights * scores).sum(-1)
        slope = means.mean() - right  # of the loss, by the inverse temperature
        curvature = ((weights * scores**2).sum(-1) - means**2).mean()
        if slope == 0:
            break
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        wanted = inverse - slope / curvature if curvature > 0 else low
        before, inverse = inverse, wanted if low < wanted < high else math.sqrt(low * high)
        if abs(inverse - before) <= 1e-12 * before:
            break
    return float(min(HOTTEST, max(COLDEST, 1 / inverse)))


def score_probabilities(log_p: np.ndarray, labels: Any) -> dict[str, float]:
    """Scores of probabilities, all of which are better the smaller they are.

    Args:
        log_p: float array `(n, classes)`, as `log_softmax` gives it.
        labels: int array `(n,)` of class numbers.

    Returns:
        A dict: "negative_log_likelihood", the mean of -log p of the label, in nats; "brier", the mean
        of the sum over the classes of (p - [it is the label])^2, from 0 to 2 (Brier 1950); and
        "calibration_error", the expected calibration error: the sum over the bins of `reliability` of
        the bin's share of the images times the distance of its accuracy from its mean confidence.

    Raises:
        InputError: as `fit_temperature`.
    """
    log_p, labels = _check_both(log_p, labels)
    p = np.exp(log_p)
    of_label = log_p[np.arange(len(log_p)), labels]
    brier = (p**2).sum(-1) - 2 * np.exp(of_label) + 1
    return {
        "negative_log_likelihood": float(-of_label.mean()),
        "brier": float(brier.mean()),
        "calibration_error": sum_gaps(reliability(log_p, labels)),
    }


def calibrate(choose: tuple[Any, Any], score: tuple[Any, Any] | None = None) -> dict[str, Any]:
    """A temperature, and what it does to the probabilities of other images.

    Args:
        choose: pair of scores `(n, classes)` and class numbers `(n,)` that choose the temperature.
        score: optional pair of others, which show what it does.

    Returns:
        A dict: "temperature" and "n"; with `score` also "scored_n", and "before" and "after", dicts as
        `score_probabilities` returns them.

    Raises:
        InputError: as `fit_temperature`.
    """
    temperature = fit_temperature(*choose)
    found: dict[str, Any] = {"temperature": temperature, "n": len(choose[1])}
    if score is not None:
        found["scored_n"] = len(score[1])
        for name, divisor in (("before", 1.0), ("after", temperature)):
            found[name] = score_probabilities(log_softmax(score[0], divisor), score[1])
    return found


def sum_gaps(rows: list[dict[str, Any]]) -> float:
    """The expected calibration error of the rows of `reliability`."""
    total = sum(row["n"] for row in rows)
    gaps = [row["n"] * abs(row["accuracy"] - row["confidence"]) for row in rows if row["n"]]
    return float(sum(gaps) / total)


def reliability(log_p: np.ndarray, labels: Any, bins: int = BINS) -> list[dict[str, Any]]:
    """How often a classifier is right where it is so sure.

    Args:
        log_p: float array `(n, classes)`, as `log_softmax` gives it.
        labels: int array `(n,)` of class numbers.
        bins: int, bins of equal width over the largest probability of an image, each without its lower
            bound and with its upper one.

    Returns:
        A list of a dict for each bin: "from", "to", "n", "confidence", the mean of the largest
        probabilities, "accuracy", "low" and "high", its 95% interval (Wilson 1927). Those of an empty
        bin are None.

    Raises:
        InputError: as `fit_temperature`.
    """
    log_p, labels = _check_both(log_p, labels)
    return bin_confidence(np.exp(log_p.max(-1)), log_p.argmax(-1) == labels, bins)


def bin_confidence(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> list[dict[str, Any]]:
    """As `reliability`, of the probability of each answer, float `(n,)`, and whether it is right."""
    checks.whole("bins", bins, least=1, most=10_000)
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = []
    for number in range(bins):
        inside = numbers == number
        count = int(inside.sum())
        row: dict[str, Any] = {"from": number / bins, "to": (number + 1) / bins, "n": count}
        row |= dict.fromkeys(("confidence", "accuracy", "low", "high"))
        if count:
            share = float(right[inside].mean())
            low, high = wilson_interval(share, count)
            row |= {"confidence": float(confidence[inside].mean()), "accuracy": share}
            row |= {"low": max(0.0, low), "high": min(1.0, high)}
        rows.append(row)
    return rows


def _check_scores(scores):
    scores = np.asarray(scores)
    fits = scores.ndim == 2 and scores.size and scores.dtype.kind in "fiu"
    if not fits or not np.isfinite(scores).all():
        raise checks.InputError(
            "Expected finite scores (n, classes), a row for each image. Received "
            f"{'some that are not finite' if fits else f'{scores.dtype} of shape {scores.shape}'}. Pass "
            "what predict returned."
        )
    return scores.astype("float64")


def _check_both(scores, labels):
    scores = _check_scores(scores)
    return scores, read_labels(labels, len(scores), scores.shape[1])
