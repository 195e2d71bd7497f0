"""The JSON Schema of a preset's record, from the types that are checked when a record is read."""

import dataclasses
import inspect
import re
from typing import Any

from keras_unrolled.presets import record_types as types
from keras_unrolled.presets.record import IMAGES, ORIGINS, TEXT, Record

_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    tuple: "array",
    None: "null",
}
_FILES = {
    "type": "object",
    "description": "sha256 and size in bytes of each file",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "size": {"type": "integer", "minimum": 0},
        },
        "required": ["sha256", "size"],
    },
}


def make_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `record.json`, so that other programs can read presets.

    It has the types and the entries that must be there. That a file matches its hash, or that the scores
    are those of the network, no schema can say: `keras-unrolled verify` does.

    Returns:
        A dict that can be written as JSON.

    Example:
        >>> schema = make_schema()
        >>> schema["required"], schema["properties"]["parameters"]["type"]
        (['name', 'origin', 'parameters', 'files'], 'integer')
    """
    texts = _read_descriptions()
    properties: dict[str, Any] = {}
    for field in dataclasses.fields(Record):
        kind = _describe(types.RECORD[field.name])
        properties[field.name] = {**kind, "description": texts[field.name]}
        if field.name in types.INNER:
            inner = types.INNER[field.name].items()
            properties[field.name]["properties"] = {name: _describe(kind) for name, kind in inner}
    metric = _require(types.METRIC)
    properties["metrics"]["items"] = metric
    properties["source"]["properties"] |= {
        "files": _FILES,
        "metrics": {"type": "array", "items": metric},
    }
    for name in ("labels", "papers"):
        properties[name]["items"] = {"type": "string"}
    properties["versions"]["additionalProperties"] = {"type": "string"}
    properties["files"] |= {**_FILES, "description": texts["files"]}
    properties["origin"]["enum"] = list(ORIGINS)
    properties["task"]["enum"] = [IMAGES, TEXT]
    calibration = _require(types.CALIBRATION)
    calibration["properties"]["temperature"]["exclusiveMinimum"] = 0
    properties["calibration"]["anyOf"] = [{"maxProperties": 0}, calibration]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Record of a preset of keras_unrolled",
        "description": "The file record.json in a preset's folder.",
        "type": "object",
        "properties": properties,
        "required": list(types.NEEDED),
        "additionalProperties": False,
    }


def _describe(kind):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = list(dict.fromkeys(_NAMES[k] for k in kinds))
    if "number" in names and "integer" in names:
        names.remove("integer")  # of which every one is a number
    return {"type": names[0] if len(names) == 1 else names}


def _require(entries):
    return {
        "type": "object",
        "properties": {name: _describe(kind) for name, kind in entries.items()},
        "required": list(entries),
    }


def _read_descriptions():
    """What the docstring of `Record` says of each entry."""
    _, _, rest = (inspect.getdoc(Record) or "").partition("Args:\n")
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w|\n\n|\Z)", rest, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in entries}
