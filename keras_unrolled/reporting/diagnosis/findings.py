"""Everything that a report on a classifier states, found in one pass over the images."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_unrolled import checks, evaluation
from keras_unrolled.analysis.table import Table
from keras_unrolled.data.examples import Examples
from keras_unrolled.evaluation.calibration import log_softmax
from keras_unrolled.reporting.diagnosis import tables
from keras_unrolled.reporting.diagnosis.calibration import (
    Calibration,
    calibrate_on_half,
    calibrate_on_others,
    compare_calibration,
)
from keras_unrolled.reporting.diagnosis.duplicates import (
    MOST_PAIRS,
    find_duplicates,
    find_unusual_sizes,
)
from keras_unrolled.reporting.diagnosis.labels import find_suspects
from keras_unrolled.reporting.diagnosis.looking import Seen, look
from keras_unrolled.reporting.diagnosis.maps import Maps, make_maps
from keras_unrolled.reporting.diagnosis.origin import find_in_sample
from keras_unrolled.reporting.diagnosis.pictures import name_pictures, read_pictures
from keras_unrolled.reporting.diagnosis.training_labels import TrainingLabels

WORST, MAPPED = 24, 12  # pictures


@dataclass
class Findings:
    """What was found of a classifier on labeled images.

    Args:
        name: string, the network's.
        dataset: string, the data's name or path.
        examples: `Examples`, labels in the order of the network's classes.
        seen: `Seen`.
        log_p: float array `(n, classes)`, logarithms of the probabilities.
        pictures: list of n strings, what to call the images.
        calibration: `Calibration`.
        in_sample: "yes", "no" or "unknown".
        origin: string, a sentence about that.
        tables: dict from a CSV's name without its suffix to its `Table`.
        worst: list of the numbers of the images with the highest loss.
        suspects: list of dicts, of `find_suspects`.
        pairs: list of dicts, of `find_duplicates`.
        maps: list of `Maps` of the first of the worst images.
        notes: list of strings, what to know of data and results.
        training: `TrainingLabels` of a fine-tuning, or None.
    """

    name: str
    dataset: str
    examples: Examples
    seen: Seen
    log_p: np.ndarray
    pictures: list[str]
    calibration: Calibration
    in_sample: str
    origin: str
    tables: dict[str, Table] = field(default_factory=dict)
    worst: list[int] = field(default_factory=list)
    suspects: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    maps: list[Maps] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    training: TrainingLabels | None = None

    @property
    def answers(self) -> np.ndarray:
        """The number of the class that is answered for each image, int `(n,)`."""
        return self.log_p.argmax(-1)

    @property
    def few_pixels(self) -> bool:
        """Whether most pictures are so small that their pixels are shown."""
        return bool(np.median(self.seen.sizes.max(-1)) <= 64)


def check_examples(examples: Examples) -> None:
    """Raises `InputError` unless images of two classes or more are there to report on."""
    present = np.unique(examples.labels)
    if len(present) < 2:
        shown = f"one class, {examples.names[present[0]]!r}" if len(present) else "no image"
        raise checks.InputError(
            "Expected images of two classes or more for a report. Received "
            f"{checks.count(len(examples), 'image')} of {shown}. Add images of a second class, or leave "
            "--report out."
        )


def diagnose(
    model: Any,
    name: str,
    examples: Examples,
    dataset: str,
    *,
    others: tuple[Examples, str] | None = None,
    seed: int = 0,
    origin: tuple[str, str] | None = None,
) -> Findings:
    """Looks at a classifier's answers on labeled images, and at the images.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        name: string, the network's.
        examples: `Examples`, whose labels are class numbers of the network.
        dataset: string, the data's name or path.
        others: optional pair of `Examples` and the name of their data, which choose the temperature; by
            default a random half of the images does.
        seed: int, of that.
        origin: optional pair of "yes" or "no", whether the network was trained on the images, and a sentence
            about it; by default the network's record tells.

    Returns:
        `Findings`.

    Raises:
        InputError: for images of one class, and for others of which none is not scored.
    """
    check_examples(examples)
    labels, names = examples.labels, examples.names
    seen = look(model, examples.images, progress=name)
    if others is None:
        calibration = calibrate_on_half(seen, labels, seed)
    else:
        calibration = calibrate_on_others(model, seen, *others)
    in_sample, sentence = origin or find_in_sample(model, dataset, examples.split)
    pictures = name_pictures(examples.images)
    log_p = log_softmax(seen.scores)
    found = Findings(
        *(name, dataset, examples, seen, log_p, pictures, calibration, in_sample, sentence)
    )
    found.notes = [*examples.notes, *calibration.notes, *_find_missing(labels, names)]
    found.suspects = find_suspects(np.exp(log_p), labels)
    found.pairs = find_duplicates(seen.features, seen.hashes, seen.digests, seen.thumbnails)
    if len(found.pairs) == MOST_PAIRS:
        found.notes.append(f"{MOST_PAIRS:,} pairs of duplicates are listed; there may be more")
    found.tables = _tabulate(found)
    losses = np.array(found.tables["images"]["loss"])
    found.worst = np.argsort(-losses, kind="stable")[:WORST].tolist()
    mapped = found.worst[:MAPPED]
    images = read_pictures(examples.images, mapped)
    found.maps = make_maps(model, images, found.answers[mapped].tolist())
    return found


def _find_missing(labels, names):
    """A note on classes of the network that no image has, if there are any."""
    missing = [name for i, name in enumerate(names) if not (labels == i).any()]
    if not missing:
        return []
    shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    return [f"{len(missing):,} of the network's {len(names):,} classes have no images: {shown}"]


def _tabulate(found):
    """Every table, in the order of the report."""
    labels, names, pictures = found.examples.labels, found.examples.names, found.pictures
    rows, bins = compare_calibration(found.calibration, found.seen.scores, labels)
    unusual = find_unusual_sizes(found.seen.sizes)
    return {
        "classes": tables.tabulate_classes(labels, found.answers, names),
        "confusion": tables.tabulate_confusion(labels, found.answers, names),
        "calibration": Table(rows),
        "reliability": Table(bins),
        "mirror": tables.tabulate_mirror(labels, found.log_p, log_softmax(found.seen.mirrored)),
        "images": tables.tabulate_images(labels, found.log_p, names, pictures),
        "suspects": tables.tabulate_suspects(found.suspects, names, pictures),
        "duplicates": tables.tabulate_pairs(found.pairs, labels, names, pictures),
        "sizes": tables.tabulate_sizes(unusual, pictures),
    }


def summarize(found: Findings) -> dict[str, Any]:
    """The figures of a report: those of `presets.scoring.evaluate`, and more.

    Returns:
        A dict: "preset", "dataset", "split", "n", "accuracy", "low" and "high" (its 95% interval),
        "top_5_accuracy" for 100 classes or more, "negative_log_likelihood", "brier" and
        "calibration_error" of all images, "calibration" ("temperature", "chosen_on", "n", and "before"
        and "after", each of the same three), "mirror" (as `tabulate_mirror`), "in_sample", "suspects",
        "duplicates" and "unusual_sizes" (how many), "training" of a fine-tuning ("n", "accuracy" out of fold,
        None if that was left out, and "suspects", how many), and "notes".
    """
    labels, n = found.examples.labels, len(found.examples)
    accuracy = evaluation.accuracy(found.log_p, labels)
    low, high = tables.bound(accuracy, n)
    rows = [dict(row) for row in found.tables["calibration"]]
    scores = [{k: v for k, v in r.items() if k not in ("images", "temperature")} for r in rows]
    result = {
        "preset": found.name,
        "dataset": found.dataset,
        "split": found.examples.split,
        "n": n,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        **{key: value for key, value in scores[0].items() if key != "n"},
        "calibration": {
            "temperature": found.calibration.temperature,
            "chosen_on": found.calibration.chosen_on,
            "n": found.calibration.n,
            "before": scores[-2],
            "after": scores[-1],
        },
        "mirror": found.tables["mirror"].rows[0],
        "in_sample": found.in_sample,
        "suspects": len(found.suspects),
        "duplicates": len(found.pairs),
        "unusual_sizes": len(found.tables["sizes"]),
    }
    if found.log_p.shape[-1] >= 100:
        result["top_5_accuracy"] = evaluation.accuracy(found.log_p, labels, top=5)
    if found.training is not None:
        training = found.training
        result["training"] = {
            "n": len(training.examples),
            "accuracy": training.accuracy,
            "suspects": len(training.suspects),
        }
    if found.notes:
        result["notes"] = found.notes
    return result
