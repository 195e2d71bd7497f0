"""The schema of a record: what it refuses, and that it comes back as it was written."""

import pytest

from keras_unrolled import InputError
from keras_unrolled.presets.record import Record

METRIC = {"dataset": "d", "split": "test", "n": 5, "metric": "accuracy", "value": 0.5}
GOOD = {
    "name": "small",
    "origin": "trained",
    "parameters": 7,
    "files": {"task.json": {"sha256": "0" * 64, "size": 3}},
    "metrics": ({**METRIC, "origin": "measured"},),
}
SOURCE = {"repository": "timm/x", "gating": "residual"}


def test_record_comes_back_as_it_was_written(tmp_path):
    record = Record(**GOOD, labels=("a", "b"), source=SOURCE)
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record
    assert record.sizes() == {"task.json": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


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
        ({"origin": "regated"}, "to have repository or name in `source`"),
        ({"origin": "recipe only"}, "to have command in `training`"),
        ({"origin": "recipe only", "training": {"command": "c"}}, "no files and no scores"),
    ],
    ids=str,
)
def test_invalid_record_is_rejected(changes, message):
    with pytest.raises(InputError, match=message):
        Record(**{**GOOD, **changes})


def test_record_knows_whether_weights_exist():
    assert Record(**GOOD).has_weights
    assert Record(**{**GOOD, "origin": "regated", "source": SOURCE}).has_weights
    recipe = {"origin": "recipe only", "training": {"command": "c"}, "files": {}, "metrics": ()}
    assert not Record(**{**GOOD, **recipe}).has_weights
