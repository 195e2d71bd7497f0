"""Which images choose a temperature, and what it does to the probabilities of others."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples
from keras_unrolled.evaluation.calibration import (
    COLDEST,
    fit_temperature,
    log_softmax,
    reliability,
    score_probabilities,
)
from keras_unrolled.reporting.diagnosis.looking import Seen, look
from keras_unrolled.reporting.diagnosis.origin import IN, find_in_sample

FEW = 200  # images, below which a temperature is uncertain


@dataclass
class Calibration:
    """A temperature and the images that it was not chosen on.

    Args:
        temperature: float.
        chosen_on: string, which images chose it.
        n: int, how many.
        shown: int array, the numbers of the images that show its effect.
        notes: list of strings, what to know of the choice.
    """

    temperature: float
    chosen_on: str
    n: int
    shown: np.ndarray
    notes: list[str]


def calibrate_on_half(seen: Seen, labels: np.ndarray, seed: int) -> Calibration:
    """Lets a random half of the images choose the temperature; the other one shows its effect."""
    order = np.random.default_rng(seed).permutation(len(labels))
    half = len(labels) // 2
    chosen, shown = np.sort(order[:half]), np.sort(order[half:])
    what = f"a random half of the images, drawn with seed {seed}"
    return _calibrate(seen.scores[chosen], labels[chosen], what, shown)


def calibrate_on_others(model: Any, seen: Seen, other: Examples, name: str) -> Calibration:
    """Lets other images choose the temperature; all that are scored show its effect.

    Args:
        model: an `ImageClassifier`.
        seen: `Seen` of the images that are scored.
        other: `Examples`, those that choose; any with the pixels of one that is scored is left out.
        name: string, what to call their data.

    Raises:
        InputError: if all of them are scored, too.
    """
    found = look(model, other.images, mirror=False, progress="calibration")
    fresh = ~np.isin(found.digests, seen.digests)
    if not fresh.any():
        raise checks.InputError(
            f"Expected images to choose a temperature on that are not scored. Every one of {name}, "
            f"{other.split}, is scored, too. Pass others, such as a held-out part of the training data, "
            "or leave it out for a random half."
        )
    what = name if name.endswith(other.split) else f"{name}, {other.split}"
    result = _calibrate(found.scores[fresh], other.labels[fresh], what, np.arange(len(seen.scores)))
    if find_in_sample(model, name, other.split)[0] == IN:
        result.notes.append(
            f"the network was trained on {what}, unless it was held out: it is surer there than elsewhere, "
            "and the temperature is too low"
        )
    shared = int((~fresh).sum())
    if shared:
        result.notes.append(
            f"left out {checks.count(shared, 'image')} of {name} that are scored, too"
        )
    return result


def _calibrate(scores, labels, what, shown):
    temperature, notes = fit_temperature(scores, labels), []
    if temperature == COLDEST:
        temperature = 1.0
        notes.append(
            "no temperature was chosen: every image that would choose it is answered right"
        )
    elif len(labels) < FEW:
        notes.append(f"the temperature was chosen on {len(labels)} images only and is uncertain")
    return Calibration(temperature, what, len(labels), shown, notes)


def compare_calibration(
    calibration: Calibration, scores: np.ndarray, labels: np.ndarray
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Scores of probabilities before and after a temperature, and both reliability diagrams.

    Args:
        calibration: `Calibration`.
        scores: float array `(n, classes)` of all images that are scored.
        labels: int array `(n,)`.

    Returns:
        Rows with "images", "temperature", "n" and the entries of `score_probabilities`: of all images at
        temperature 1, and, before and after, of those that show the effect. Rows with "temperature" and
        the entries of `reliability`, of the latter.
    """
    shown = calibration.shown
    rows, bins = [], []
    parts: list[tuple[str, Any, float]] = [("all", slice(None), 1.0)]
    what = "all" if len(shown) == len(labels) else "half that did not choose it"
    parts += [(what, shown, 1.0)] if len(shown) < len(labels) else []
    parts += [(what, shown, calibration.temperature)]
    for images, part, temperature in parts:
        log_p = log_softmax(scores[part], temperature)
        found = score_probabilities(log_p, labels[part])
        rows.append({"images": images, "temperature": temperature, "n": len(log_p), **found})
    for temperature in (1.0, calibration.temperature):
        log_p = log_softmax(scores[shown], temperature)
        bins += [{"temperature": temperature, **row} for row in reliability(log_p, labels[shown])]
    return rows, bins
