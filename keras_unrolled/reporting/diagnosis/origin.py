"""Whether a network was trained on the pictures that it is scored on, as far as its record tells."""

import re
from pathlib import Path
from typing import Any

from keras_unrolled.models.weight_hash import hash_weights

IN, OUT, UNKNOWN = "yes", "no", "unknown"
_UNKNOWN = (
    UNKNOWN,
    "It is not known whether the network was trained on these images. If it was, the scores are "
    "in-sample: they are too good, and wrong labels that it has learned by heart are not found.",
)


def find_in_sample(model: Any, dataset: Any, split: str) -> tuple[str, str]:
    """Whether scores are in-sample, and a sentence about it.

    Args:
        model: an `ImageClassifier`, whose provenance tells what it was trained on.
        dataset: string, the data set's name or path.
        split: string, the part of it.

    Returns:
        "yes", "no" or "unknown", and a sentence.
    """
    provenance = getattr(model, "provenance", None)
    record = provenance.record if provenance is not None else None
    if provenance is not None and record is not None and hash_weights(model) == provenance.digest:
        return compare_record(record, dataset, split)
    return _UNKNOWN


def compare_record(record: Any, dataset: Any, split: str) -> tuple[str, str]:
    """As `find_in_sample`, for the preset of a record.

    Args:
        record: `Record`.
        dataset, split: as there.
    """
    training = record.training
    trained_on = training.get("dataset") or (None if "data" in training else record.dataset)
    name, _, part = str(dataset).partition(":")
    if trained_on == name:
        return _compare_parts(name, training.get("split") or "train", part or split)
    tuned_on = {row["dataset"] for row in record.metrics}
    if "data" in training and Path(name).resolve().name in tuned_on:
        return IN, (
            f"The scores are in-sample, at least in part: the preset was fine-tuned on {name}. They are "
            "too good, and wrong labels that the network has learned by heart are not found."
        )
    return _UNKNOWN


def _compare_parts(name, trained, scored):
    """As `find_in_sample`, of the same data set."""
    words = set(re.split(r"[^a-z]+", scored.lower()))
    if words & set(re.split(r"[^a-z]+", trained.lower())) - {""}:
        return IN, (
            f"The scores are in-sample: the preset was trained on `{trained}` of {name}, and these images "
            f"are of `{scored}`. Unless they were held out, the scores are too good, and wrong labels that the "
            "network has learned by heart are not found."
        )
    return OUT, (
        f"The scores are out of sample: the preset was trained on `{trained}` of {name}, and these images "
        f"are of `{scored}`."
    )
