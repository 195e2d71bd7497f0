"""What an exported file says about its network."""

import json
from pathlib import Path
from typing import Any

from keras_unrolled import environment

LABELS, METADATA = "labels.txt", "metadata.json"


def describe(model: Any) -> dict[str, Any]:
    """The facts of a model that go into its exported file.

    Returns:
        A dict of strings: "preset", "license", "keras_unrolled" (this package's version), and "labels",
        a list, for a network that has them.
    """
    provenance = getattr(model, "provenance", None)
    facts = {
        "preset": find_name(model),
        "license": provenance.license if provenance is not None else "unknown",
        "keras_unrolled": environment.package_version(),
    }
    return {**facts, "labels": list(model.labels)} if model.labels else facts


def find_name(model: Any) -> str:
    """The name of the preset that a model was loaded from, or of the model."""
    provenance = getattr(model, "provenance", None)
    if provenance is None:
        return model.name
    if provenance.record is not None:
        return provenance.record.name
    return str(provenance.source.get("name", model.name))


def as_strings(facts: dict[str, Any]) -> dict[str, str]:
    """The facts with the list of labels as JSON."""
    return {k: v if isinstance(v, str) else _to_json(v) for k, v in facts.items()}


def as_files(facts: dict[str, Any]) -> dict[str, str]:
    """Texts by file name: the facts as JSON, and the labels one to a line."""
    texts = {METADATA: _to_json(facts) + "\n"}
    if "labels" in facts:
        texts[LABELS] = "".join(" ".join(label.split()) + "\n" for label in facts["labels"])
    return texts


def write_files(facts: dict[str, Any], folder: Path) -> None:
    """Writes the files of `as_files`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in as_files(facts).items():
        (folder / name).write_text(text, encoding="utf-8")


def _to_json(value):
    return json.dumps(value, ensure_ascii=False)
