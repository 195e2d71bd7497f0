"""Labels of the images of a fine-tuning that may be wrong, by probabilities out of fold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled.data.examples import Examples
from keras_unrolled.data.loading import choose
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.reporting.diagnosis.folds import FOLDS, score_out_of_fold
from keras_unrolled.reporting.diagnosis.labels import find_suspects
from keras_unrolled.reporting.diagnosis.looking import look
from keras_unrolled.reporting.diagnosis.origin import IN, compare_record
from keras_unrolled.reporting.diagnosis.pictures import name_pictures

MOST = 10_000  # images that are scored


@dataclass
class TrainingLabels:
    """What was found of the labels of images that a network was trained on.

    Args:
        examples: `Examples` that were scored.
        pictures: list of strings, what to call them in the data.
        total: int, how many images were trained on.
        problem: string, why no label was looked at, or "".
        origin: string, a sentence on whether the base has seen the images, or "".
        suspects: list of dicts, of `find_suspects`.
        accuracy: float, the share of the images that are answered right out of fold, or None.
    """

    examples: Examples
    pictures: list[str]
    total: int
    problem: str = ""
    origin: str = ""
    suspects: list[dict[str, Any]] = field(default_factory=list)
    accuracy: float | None = None


def check_training_labels(
    base: str | Path, examples: Examples, train: list[int], dataset: str
) -> TrainingLabels:
    """Looks for wrong labels among images that were trained on, without the network that learned them.

    The features are those of the preset that was started from: the pooled output of its last stage. A
    linear classifier is trained on those of four fifths of the images, and gives the probabilities of the
    fifth; five times.

    Args:
        base: name, folder or address of the preset that was started from.
        examples: `Examples`, of which some were trained on.
        train: list of the indices of these.
        dataset: string, the name or path of the data.

    Returns:
        `TrainingLabels`; its `problem` is set for images of one class, and for a class with fewer of them
        than folds.
    """
    names = name_pictures(examples.images)
    numbered = Examples(np.array(train), examples.labels[train], examples.names, "train")
    chosen = np.asarray(choose(numbered, MOST).images).tolist()
    some = examples.take(chosen)
    found = TrainingLabels(some, [names[i] for i in chosen], len(train), _find_problem(some))
    if found.problem:
        return found
    model = from_preset(base, labels=examples.names)
    seen = look(model, some.images, mirror=False, progress="training images, out of fold")
    p = score_out_of_fold(seen.features, some.labels, len(some.names))
    found.suspects = find_suspects(p, some.labels)
    found.accuracy = float(np.mean(p.argmax(-1) == some.labels))
    record = getattr(getattr(model, "provenance", None), "record", None)
    if record is not None and compare_record(record, dataset, examples.split)[0] == IN:
        found.origin = (
            f"By its record {record.name} was trained on images of this data set, so that it may have learned "
            "wrong labels of theirs."
        )
    return found


def _find_problem(examples):
    """Why the labels cannot be scored in folds, or ""."""
    counts = np.bincount(examples.labels, minlength=len(examples.names))
    few = [name for name, n in zip(examples.names, counts) if 0 < n < FOLDS]
    if np.count_nonzero(counts) < 2:
        return "This part was left out: all training images are of one class."
    if not few:
        return ""
    shown = ", ".join(few[:5]) + (", ..." if len(few) > 5 else "")
    return (
        f"This part was left out: it takes {FOLDS} training images of each class, one for each fold. "
        f"Classes with fewer: {shown}."
    )
