"""From a model to its record."""

import json
import math

from keras_unrolled import environment, models
from keras_unrolled.presets.record import IMAGES, PAPERS, TEXT, Record

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
    return Record(
        **{
            **describe_network(model),
            "name": name,
            "files": fingerprints,
            "versions": environment.software_versions(),
            **facts,
        }
    )


def describe_network(model):
    """What a record says of a model that follows from the model alone, as a dict of its entries."""
    network = model.backbone.get_config()
    for key in ("name", "trainable", "dtype"):
        network.pop(key)
    common = {"network": network, "parameters": count_parameters(model)}
    if isinstance(model, models.CharacterLM):
        network["vocabulary_size"] = model.vocabulary_size
        return {"task": TEXT, **common, "papers": TEXT_PAPERS}
    preprocessing = _describe_preprocessing(model)
    return {
        **common,
        "preprocessing": preprocessing,
        "macs": model.count_macs() if preprocessing.get("image_size") else None,
        **_describe_labels(model),
    }


def find_conflict(record, model):
    """The first entry of a record that contradicts a model.

    Only what the record states is compared: a former version may have stated less.

    Args:
        record: a `Record`.
        model: the model of its preset, in float32.

    Returns:
        A tuple of the entry's name, as "network.gating", what the record has and what the model
        has; or None.
    """
    facts = {"task": IMAGES, **describe_network(model)}
    for key in ("task", "parameters", "macs"):
        recorded, found = getattr(record, key), facts.get(key)
        if recorded != found and not (key == "macs" and recorded is None):
            return key, recorded, found
    for key in ("network", "preprocessing"):
        found = json.loads(json.dumps(facts.get(key, {})))  # as it is in the file: lists, no tuples
        recorded = json.loads(json.dumps(getattr(record, key)))
        for name, value in recorded.items():
            if name not in found or not _is_alike(value, found[name]):
                return f"{key}.{name}", value, found.get(name, "no such entry")
    return None


def _is_alike(a, b):
    """Whether two JSON values are equal, numbers but for the last digits."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_alike, a, b))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-6)
    return a == b


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
