"""What the entries of a record must be, down to those that are read from its dicts."""

import math
import re
import reprlib
from typing import Any

from keras_unrolled import checks
from keras_unrolled.presets.integrity import is_within

NUMBER, TEXT = (int, float), (str, None)
NEEDED = ("name", "origin", "parameters", "files")  # of a record that is read
MOST_DEPTH = 20  # of dicts and lists in each other
MOST_CHARACTERS = 10_000
# Type of each entry, None for those that may be missing.
RECORD: dict[str, Any] = {
    "name": str,
    "task": str,
    "description": str,
    "origin": str,
    "parameters": int,
    "macs": (int, None),
    "network": dict,
    "preprocessing": dict,
    "labels": tuple,
    "label_set": (str, None),
    "metrics": tuple,
    "calibration": dict,
    "files": dict,
    "source": dict,
    "training": dict,
    "repository": (str, None),
    "revision": (str, None),
    "versions": dict,
    "license": str,
    "papers": tuple,
    "dataset": (str, None),
}
# Types in the dicts; each entry may be missing, and there may be others.
INNER: dict[str, dict[str, Any]] = {
    "source": {
        **dict.fromkeys(("name", "repository", "revision", "gating", "license"), TEXT),
        "files": dict,
        "metrics": (list, tuple),
    },
    "training": {
        **dict.fromkeys(("command", "dataset", "split", "commit", "hardware"), TEXT),
        "hours": NUMBER,
        "recipe": dict,
    },
    "preprocessing": {
        "image_size": (list, tuple, None),
        "crop_fraction": NUMBER,
        "interpolation": str,
    },
    "network": {
        **dict.fromkeys(("gating", "block_type", "activation_order"), str),
        "normalization": TEXT,
        **dict.fromkeys(("stackwise_num_blocks", "stackwise_num_filters"), (list, tuple)),
        **dict.fromkeys(("filter_widths", "num_filters"), (list, tuple)),
        **dict.fromkeys(("num_layers", "character_dim", "num_characters", "units"), int),
        **dict.fromkeys(("num_recurrent_layers", "vocabulary_size"), int),
    },
}
METRIC: dict[str, Any] = {
    "dataset": str,
    "split": str,
    "n": int,
    "metric": str,
    "value": NUMBER,
    "origin": str,
}
CALIBRATION: dict[str, Any] = {
    "temperature": NUMBER,
    "dataset": str,
    "split": str,
    "n": int,
    "origin": str,
}
_SCORES = ("negative_log_likelihood", "brier", "calibration_error")
_SURROGATES = re.compile("[\ud800-\udfff]")  # which no file can hold
# Neither moves a terminal's cursor nor fails to be written.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def check_types(record):
    """Raises `InputError` for the first entry of a record that is of another type."""
    for key, kind in RECORD.items():
        value = getattr(record, key)
        _check(f"`{key}`", value, kind)
        _check_values(key, value)
        if isinstance(value, str) and (len(value) > MOST_CHARACTERS or _CONTROLS.search(value)):
            what = f"at most {MOST_CHARACTERS:,} characters, without control characters"
            raise _unexpected(f"`{key}`", what, value)
    for key, entries in INNER.items():
        for name, kind in entries.items():
            entry = getattr(record, key)
            if name in entry:
                value = entry[name]
                _check(f"`{key}`, {name}", value, kind)
                if isinstance(value, (list, tuple)) and name != "metrics":
                    _check_numbers(f"`{key}`, {name}", value)
    for key, texts in (
        ("labels", record.labels),
        ("papers", record.papers),
        ("versions", record.versions.values()),
    ):
        for text in texts:
            _check(f"every entry of `{key}`", text, str)
    for key in ("parameters", "macs"):
        if (getattr(record, key) or 0) < 0:
            raise _unexpected(f"`{key}`", "a number of at least 0", getattr(record, key))


def check_metrics(record):
    """Raises `InputError` for a score of a record that is incomplete or no number."""
    for metric in (*record.metrics, *(record.source.get("metrics") or ())):
        known = isinstance(metric, dict)
        if not known or not all(_is(metric.get(k), t) for k, t in METRIC.items()):
            lacking = (
                "" if not known or metric.get("origin") else " one without how it was measured"
            )
            raise checks.InputError(
                f"Expected a metric with {', '.join(METRIC)}. Received{lacking}: {_show(metric)}. "
                "Complete it, or leave the figure out."
            )


def check_calibration(record):
    """Raises `InputError` for a temperature of a record that is incomplete or impossible."""
    found = record.calibration
    if not found:
        return
    types = dict(CALIBRATION)
    if {"scored_on", "scored_n", "before", "after"} & found.keys():
        types |= {"scored_on": str, "scored_n": int, "before": dict, "after": dict}
    if not all(_is(found.get(key), kind) for key, kind in types.items()):
        raise checks.InputError(
            f"Expected `calibration` of a record to have {', '.join(types)}. Received: {_show(found)}. "
            "Complete it, or leave it out."
        )
    for key in ("before", "after"):
        if key in found and not all(_is(found[key].get(name), NUMBER) for name in _SCORES):
            wanted = f"the numbers {', '.join(_SCORES)}"
            raise _unexpected(f"`calibration`, {key}", wanted, found[key])
    if found["temperature"] <= 0:
        raise _unexpected("`calibration`, temperature", "above 0", found["temperature"])


def check_file_names(record):
    """Raises `InputError` for a file of a record that leads elsewhere or has no hash and size."""
    for files in (record.files, record.source.get("files") or {}):
        for name, facts in files.items():
            if (
                not isinstance(name, str)
                or not is_within(name)
                or not isinstance(facts, dict)
                or not re.fullmatch(r"[0-9a-f]{64}", str(facts.get("sha256")))
                or not _is(facts.get("size"), int)
                or facts["size"] < 0
            ):
                raise checks.InputError(
                    "Expected a record's files to be names within it, each with sha256 and "
                    f"size. Received: {_show(name)}: {_show(facts)}. Restore the record."
                )


def _is(value, kind):
    """Whether a value is of a type, or one of a tuple; of numbers only those of 64 bits."""
    for option in kind if isinstance(kind, tuple) else (kind,):
        if option is None and value is None:
            return True
        if option in (int, float):
            is_number = isinstance(value, option) and not isinstance(value, bool)
            fits = is_number and (
                abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
            )
            if fits:
                return True
        elif option is not None and isinstance(value, option):
            return True
    return False


def _check(what, value, kind):
    if not _is(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join("null" if k is None else k.__name__ for k in kinds)
        raise _unexpected(what, f"of type {names}", value)


def _check_numbers(what, values):
    for value in values:
        _check(f"every entry of {what}", value, int)


def _check_values(key, value):
    """Rejects what is nested so deeply that printing it would fail, and texts that cannot be written."""
    level = [value]
    for _ in range(MOST_DEPTH):
        inner = [v for v in level if isinstance(v, (dict, list, tuple))]
        texts = [v for v in level if isinstance(v, str)]
        texts += [text for v in inner if isinstance(v, dict) for text in v]
        for text in texts:
            if _SURROGATES.search(str(text)):
                raise _unexpected(f"`{key}`", "text that can be written", text)
        level = [x for v in inner for x in (v.values() if isinstance(v, dict) else v)]
    if level:
        raise _unexpected(f"`{key}`", f"nested at most {MOST_DEPTH} times", value)


def _unexpected(what, wanted, received):
    return checks.InputError(
        f"Expected {what} of a record to be {wanted}. Received: {_show(received)}. "
        "Correct the value, or restore the record."
    )


def _show(value):
    """A value as text of a reasonable length."""
    return reprlib.repr(value) if isinstance(value, (dict, list, tuple)) else repr(value)[:200]
