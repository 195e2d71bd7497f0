"""The schema of a record: what it refuses, and that it comes back as it was written."""

import json

import pytest

from keras_unrolled import InputError
from keras_unrolled.presets import card, summary
from keras_unrolled.presets.record import Record

METRIC = {"dataset": "d", "split": "test", "n": 5, "metric": "accuracy", "value": 0.5}
GOOD = {
    "name": "small",
    "origin": "trained",
    "parameters": 7,
    "files": {"task.json": {"sha256": "0" * 64, "size": 3}},
    "metrics": ({**METRIC, "origin": "measured"},),
}
CALIBRATION = {"temperature": 1.2, "dataset": "d", "split": "valid", "n": 50, "origin": "half"}
SCORES = {"negative_log_likelihood": 0.3, "brier": 0.2, "calibration_error": 0.01}
SCORED = {"scored_on": "test", "scored_n": 5, "before": SCORES, "after": SCORES}
SOURCE = {"repository": "timm/x", "gating": "residual"}


def with_score(value, metric="accuracy"):
    return {**METRIC, "origin": "measured", "metric": metric, "value": value}


def test_record_comes_back_as_it_was_written(tmp_path):
    record = Record(**GOOD, labels=("a", "b"), source=SOURCE)
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record
    assert record.sizes() == {"task.json": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_score_that_stands_for_a_preset_is_on_its_own_data_set():
    rows = [{**with_score(i / 10), "dataset": name} for i, name in enumerate("xdedf")]
    source = {**SOURCE, "metrics": rows}
    without = {**GOOD, "metrics": (), "source": source}
    assert Record(**without, dataset="d").find_main_score()["value"] == 0.3
    assert Record(**without, dataset="z").find_main_score()["value"] == 0.4
    assert Record(**GOOD, dataset="d", source=source).find_main_score()["value"] == 0.5
    assert Record(**{**GOOD, "metrics": ()}).find_main_score() is None


def test_former_spelling_of_the_license_is_read(tmp_path):
    record = Record(**GOOD, license="MIT", source={**SOURCE, "license": "MIT"})
    text = record.to_json().replace('"license"', '"licence"')
    (tmp_path / "record.json").write_text(text)
    assert Record.read(tmp_path / "record.json") == record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin": "found"}, "Expected `origin`"),
        ({"parameters": "7"}, "Expected `parameters`"),
        ({"parameters": True}, "Expected `parameters`"),
        ({"labels": ["a"]}, "Expected `labels`"),
        ({"macs": "many"}, "of type int or null"),
        ({"metrics": (METRIC,)}, "without how it was measured"),
        ({"metrics": ({**METRIC, "origin": "x", "n": "5"},)}, "Expected a metric"),
        ({"source": {**SOURCE, "metrics": [METRIC]}}, "without how it was measured"),
        ({"files": {"../x": {"sha256": "0" * 64, "size": 1}}}, "names within it"),
        ({"files": {"x": {"sha256": "0", "size": 1}}}, "names within it"),
        ({"files": {"a/../../x": {"sha256": "0" * 64, "size": 1}}}, "names within it"),
        ({"files": {"/x": {"sha256": "0" * 64, "size": 1}}}, "names within it"),
        ({"files": {"a\\x": {"sha256": "0" * 64, "size": 1}}}, "names within it"),
        ({"task": "cooking"}, "task"),
        ({"metrics": (with_score(2.5),)}, "accuracy in a record to be from 0 to 1.*2.5 on d"),
        ({"metrics": (with_score(-0.1, "top5_accuracy"),)}, "to be from 0 to 1"),
        ({"metrics": (with_score(0.9, "perplexity"),)}, "perplexity in a record to be of at least"),
        ({"source": {**SOURCE, "metrics": [with_score(2)]}}, "to be from 0 to 1"),
        ({"name": "a\x1b[2J"}, "control characters"),
        ({"name": "a\nb"}, r"in one line. Received: 'a\\nb'"),
        ({"name": "a\u202eb"}, "control characters"),
        ({"calibration": {"temperature": 1.2}}, "Expected `calibration`"),
        ({"calibration": {**CALIBRATION, "temperature": 0}}, "above 0"),
        ({"calibration": {**CALIBRATION, "before": SCORES}}, "scored_on"),
        ({"calibration": {**CALIBRATION, **SCORED, "after": {"brier": 1}}}, "after.*the numbers"),
        ({"origin": "regated"}, "to have repository or name in `source`"),
        ({"origin": "recipe only"}, "to have command in `training`"),
        ({"origin": "recipe only", "training": {"command": "c"}}, "no files and no scores"),
    ],
    ids=str,
)
def test_invalid_record_is_rejected(changes, message):
    with pytest.raises(InputError, match=message):
        Record(**{**GOOD, **changes})


def test_scores_at_the_ends_of_their_range_are_kept_and_shown():
    rows = (with_score(0), with_score(1.0), with_score(1, "perplexity"), with_score(2.5, "loss"))
    texts = [Record.show(row) for row in Record(**{**GOOD, "metrics": rows}).metrics]
    assert texts == ["0.00%", "100.00%", "1.00", "2.50"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zzz": 1}, r"Found unknown ones: 'zzz'\. Remove"),
        ({"zzz": 1, "metricz": 1}, "unknown ones: 'zzz', 'metricz'"),
        ({"metricz": ()}, r"unknown ones: 'metricz'\. Did you mean 'metrics'"),
        ({"\x1b[2J": 1}, r"unknown ones: '\?\[2J'"),
    ],
    ids=ascii,
)
def test_unknown_key_of_a_record_is_named(tmp_path, changes, message):
    data = {**json.loads(Record(**GOOD).to_json()), **changes}
    (tmp_path / "record.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        Record.read(tmp_path / "record.json")


def test_missing_keys_of_a_record_are_named(tmp_path):
    (tmp_path / "record.json").write_text('{"name": "x", "origin": "trained"}')
    with pytest.raises(InputError, match=r"Found none of: files, parameters\."):
        Record.read(tmp_path / "record.json")


def test_record_knows_whether_weights_exist():
    assert Record(**GOOD).has_weights
    assert Record(**{**GOOD, "origin": "regated", "source": SOURCE}).has_weights
    recipe = {"origin": "recipe only", "training": {"command": "c"}, "files": {}, "metrics": ()}
    assert not Record(**{**GOOD, **recipe}).has_weights


ODD = [None, True, 7, -1, 2**70, 0.5, float("nan"), "x", "\x1b[2J", "\ud800", [], [1], [[]], [None]]
ODD += [{}, {"x": 1}, {"metrics": 3}, {"files": []}, {"metrics": [None]}, {"files": {"x": 1}}]
FULL = {
    **GOOD,
    "labels": ["a"],
    "papers": ["p"],
    "calibration": {**CALIBRATION, **SCORED},
    "versions": {"keras": "3"},
    "network": {
        "gating": "full",
        "stackwise_num_blocks": [1, 2],
        "stackwise_num_filters": [3, 4],
        "block_type": "basic",
        "normalization": None,
        "activation_order": "post",
    },
    "preprocessing": {"image_size": [32, 32], "crop_fraction": 1.0},
    "source": {**SOURCE, "metrics": [{**METRIC, "origin": "o"}], "files": {}, "license": "MIT"},
    "training": {"command": "c", "dataset": "d", "hours": 1.5, "recipe": {"epochs": 3}, "seed": 0},
}


def places(value, path=()):
    """Every path to an entry of a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*path, key)
        if isinstance(value[key], (dict, list)):
            yield from places(value[key], (*path, key))


@pytest.mark.parametrize("place", list(places(json.loads(json.dumps(FULL)))), ids=str)
def test_entry_of_another_type_is_refused_or_harmless(tmp_path, place):
    for value in ODD:
        data = json.loads(json.dumps(FULL))
        *way, last = place
        inner = data
        for key in way:
            inner = inner[key]
        inner[last] = value
        (tmp_path / "record.json").write_text(json.dumps(data))
        try:
            record = Record.read(tmp_path / "record.json")
        except InputError:
            continue
        texts = [record.to_json(), repr(record), summary.summarize(record)]
        texts += [summary.list_fields(record), summary.make_table([record]), card.describe(record)]
        "".join(texts[-3:-1]).encode()  # as printing does


def test_record_nested_without_end_is_refused(tmp_path):
    for depth in (25, 900, 100_000):
        text = json.dumps(FULL).replace('"c"', "[" * depth + "]" * depth)
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(InputError, match=r"nested at most 20 times|of type str|Expected JSON"):
            Record.read(tmp_path / "record.json")


def test_data_set_of_a_former_record_is_found(tmp_path):
    for data, expected in (
        (FULL, "d"),
        ({**FULL, "training": {}}, "d"),
        ({**FULL, "training": {}, "metrics": [], "source": {}}, None),
        ({**FULL, "dataset": "mine"}, "mine"),
    ):
        (tmp_path / "record.json").write_text(json.dumps(data))
        assert Record.read(tmp_path / "record.json").dataset == expected
