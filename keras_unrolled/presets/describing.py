"""From a model to its record."""

import math

from keras_unrolled import environment, models
from keras_unrolled.presets.record import PAPERS, TEXT, Record

TEXT_PAPERS = (
    PAPERS[0],
    PAPERS[1],
    "https://arxiv.org/abs/1508.06615",  # Kim et al. 2016
)


def describe(model, name, fingerprints, **facts):
    """The record of a model.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        name: the preset's name.
        fingerprints: dict from the name of each file to its sha256 and size.
        **facts: further entries of the record, with "origin" among them.
    """
    facts.setdefault("dataset", _find_dataset(facts))
    network = model.backbone.get_config()
    for key in ("name", "trainable", "dtype"):
        network.pop(key)
    common = {
        "name": name,
        "parameters": count_parameters(model),
        "files": fingerprints,
        "versions": environment.software_versions(),
    }
    if isinstance(model, models.CharacterLM):
        network["vocabulary_size"] = model.vocabulary_size
        common |= {"task": TEXT, "network": network, "papers": TEXT_PAPERS}
        return Record(**{**common, **facts})
    preprocessing = _describe_preprocessing(model)
    return Record(
        **{
            **common,
            "network": network,
            "preprocessing": preprocessing,
            "macs": model.count_macs() if preprocessing.get("image_size") else None,
            **_describe_labels(model),
            **facts,
        }
    )


def count_parameters(model):
    """The number of trainable weights, without the statistics of batch normalization."""
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def _find_dataset(facts):
    """The data set of a training or, if there is none, of the first score."""
    scores = [*facts.get("metrics", ()), *facts.get("source", {}).get("metrics", ())]
    return facts.get("training", {}).get("dataset") or next(
        (row["dataset"] for row in scores), None
    )


def _describe_preprocessing(model):
    converter = getattr(model.preprocessor, "image_converter", None)
    if converter is None:
        return {}
    names = ("image_size", "crop_fraction", "interpolation", "antialias")
    names += ("crop_to_aspect_ratio", "scale", "offset")
    return {name: getattr(converter, name) for name in names}


def _describe_labels(model):
    labels = tuple(model.labels or ())
    if len(labels) == 1000 and list(labels) == models.imagenet_labels():
        return {"label_set": "imagenet"}
    return {"labels": labels}
