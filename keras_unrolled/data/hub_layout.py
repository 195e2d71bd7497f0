"""Which files of a data set on the Hub are those of a split, and which of its columns are read."""

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

from keras_unrolled import checks
from keras_unrolled.data.class_names import show_names
from keras_unrolled.data.parts import name_part

Files = dict[str, dict[str, list[str]]]  # of each split of each configuration


@dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Args:
        image: string.
        label: string.
        names: optional list of the classes' names, whose numbers the labels are; None for labels that are
            names themselves.
        notes: what a user should know of the choice.
    """

    image: str
    label: str
    names: list[str] | None
    notes: tuple[str, ...] = ()


def read_card(text: str) -> dict[str, Any]:
    """What a README says at its top, in YAML; nothing if it cannot be read."""
    import yaml

    match = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(\n|$)", text, re.S)
    try:
        card = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, RecursionError):
        card = None
    return card if isinstance(card, dict) else {}


def group_files(files: list[str], card: dict[str, Any]) -> Files:
    """The files of each split of each configuration, as the card or else the names have it."""
    return _group_by_card(files, card) or _group_by_name(files)


def _group_by_card(files, card):
    found: Files = {}
    for config in _list(card.get("configs")):
        for row in _list(config.get("data_files") if isinstance(config, dict) else None):
            if isinstance(row, str):
                row = {"split": "train", "path": row}
            if not isinstance(row, dict):
                continue
            patterns = [p for p in _list(row.get("path")) if isinstance(p, str)]
            chosen = [f for f in files if any(fnmatch.fnmatchcase(f, p) for p in patterns)]
            if chosen:
                name = str(config.get("config_name", "default"))
                found.setdefault(name, {})[str(row.get("split", "train"))] = chosen
    return found


def _group_by_name(files):
    found: Files = {}
    for file in files:
        *folders, last = file.split("/")
        words = [*re.split(r"[\W\d_]+", last.removesuffix(".parquet")), *reversed(folders)]
        split = next((part for word in words if (part := name_part(word))), "train")
        names = [f for f in folders if f != "data" and name_part(f) is None]
        found.setdefault(names[0] if names else "default", {}).setdefault(split, []).append(file)
    return found


def _list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def choose_files(
    groups: Files, config: str | None, splits: list[str], card: dict[str, Any], name: str
) -> tuple[str, list[str]]:
    """The name and the files of the first of `splits` that there is.

    Args:
        groups: as `group_files` returns them.
        config: optional string, the configuration.
        splits: list of strings; "validation" is also taken for "val" and the like.
        card: as `read_card` returns it, which may name a default configuration.
        name: string, the data set, for messages.

    Raises:
        InputError: if there is no such configuration or split, or none of several is named.
    """
    if config is None:
        marked = [c.get("config_name") for c in _list(card.get("configs")) if _is_default(c)]
        first = [c for c in (*marked, "default") if c in groups]
        if not first and len(groups) > 1:
            raise checks.InputError(
                f"Expected one configuration of {name}. It has {show_names(groups)}. Name one: "
                f"{name},config={next(iter(groups))}."
            )
        config = first[0] if first else next(iter(groups))
    chosen = groups[checks.one_of("config", config, groups)]
    for wanted in splits:
        for split, files in chosen.items():
            if wanted in (split, name_part(split)):
                return split, sorted(files)
    raise checks.InputError(
        f"Expected a split of {name}: {show_names(chosen)}. Received: {' or '.join(splits)}. Write for "
        f"instance {name}:{next(iter(chosen))}."
    )


def _is_default(config):
    return isinstance(config, dict) and config.get("default") is True


def choose_columns(
    schema: Any, card: dict[str, Any], image: str | None, label: str | None, name: str
) -> Columns:
    """The columns with the image and the class.

    Args:
        schema: `pyarrow.Schema` of the files.
        card: as `read_card` returns it.
        image, label: optional strings, columns that the user has named.
        name: string, the data set, for messages.

    Raises:
        InputError: if there is no such column, or several that may be it.
    """
    features = _read_features(schema, card)
    images = [c for c in schema.names if _is_image(features.get(c), schema.field(c).type)]
    labels = [c for c in schema.names if isinstance(features.get(c), list)]
    plain = [c for c in schema.names if c not in images and _is_plain(schema.field(c).type)]
    labels = labels or [c for c in plain if c.lower() in ("label", "labels", "class")]
    image, image_notes = _choose("image", image, images, images, schema.names, name)
    label, label_notes = _choose("label", label, labels, plain, schema.names, name)
    names = features.get(label)
    return Columns(
        image, label, names if isinstance(names, list) else None, (*image_notes, *label_notes)
    )


def _choose(what, given, candidates, allowed, columns, name):
    """A column and notes on others that it might have been."""
    if given is not None:
        checks.one_of(what, given, columns)
        if given not in allowed:
            kind = "images" if what == "image" else "class numbers or names"
            raise checks.InputError(
                f"Expected a column of {kind} in {name}. Received: {what}={given}, which has others. Its "
                f"columns are {show_names(columns)}."
            )
        return given, ()
    if not candidates:
        raise checks.InputError(
            f"Expected a column of {what}s in {name}. Its columns are {show_names(columns)}, none of "
            f"which is known to be one. Name it if it is: {name},{what}=COLUMN."
        )
    if len(candidates) == 1:
        return candidates[0], ()
    if what in candidates:
        others = show_names(c for c in candidates if c != what)
        return what, (f"the column {what!r} was read; {others} might be the {what}, too",)
    raise checks.InputError(
        f"Expected one column of {what}s in {name}. Found {show_names(candidates)}. Name one: "
        f"{name},{what}={candidates[0]}."
    )


def _read_features(schema, card):
    """What each column is: "image", a list of classes' names, or something else."""
    raw = (schema.metadata or {}).get(b"huggingface")
    try:
        found = json.loads(raw)["info"]["features"] if raw else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        found = {}
    features = {c: _read_feature(v) for c, v in found.items()} if isinstance(found, dict) else {}
    for info in _list(card.get("dataset_info")):
        for row in _list(info.get("features") if isinstance(info, dict) else None):
            if isinstance(row, dict) and isinstance(row.get("name"), str):
                features.setdefault(row["name"], _read_card_feature(row.get("dtype")))
    return features


def _read_feature(value):
    kind = value.get("_type") if isinstance(value, dict) else None
    if kind == "ClassLabel" and isinstance(value.get("names"), list):
        return [str(name) for name in value["names"]]
    return "image" if kind == "Image" else "other"


def _read_card_feature(dtype):
    names = dtype.get("class_label") if isinstance(dtype, dict) else None
    names = names.get("names") if isinstance(names, dict) else None
    if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
        names = [names[key] for key in sorted(names, key=_number)]
    if isinstance(names, list):
        return [str(name) for name in names]
    return "image" if dtype == "image" else "other"


def _number(key):
    """A class's number; what is none comes first, for a card may have anything."""
    return int(key) if str(key).isdecimal() else -1


def _is_image(feature, kind):
    """Whether a column has images: as its feature says or, without one, as it is stored."""
    import pyarrow as pa

    if feature is not None and feature != "image":
        return False
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_plain(kind):
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
