"""The JSON Schema of a record, by an independent validator."""

import copy
import json

import jsonschema
import pytest

from keras_unrolled import InputError
from keras_unrolled.presets.catalog import all_presets
from keras_unrolled.presets.record import Record
from keras_unrolled.presets.record_schema import make_schema


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(make_schema())
    return jsonschema.Draft202012Validator(make_schema())


def read(name):
    return json.loads(all_presets()[name].to_json())


def test_every_record_of_the_zoo_is_valid(validator):
    for name in all_presets():
        assert not list(validator.iter_errors(read(name))), name


def test_every_entry_is_described():
    for name, entry in make_schema()["properties"].items():
        assert len(entry["description"]) > 5, name


CHANGES = {
    "another type": lambda r: r.update(parameters="many"),
    "an unknown key": lambda r: r.update(colour="red"),
    "an unknown origin": lambda r: r.update(origin="found"),
    "no files": lambda r: r.pop("files"),
    "a metric without its origin": lambda r: r["metrics"][0].pop("origin"),
    "a source's metric without its value": lambda r: r.update(source={"metrics": [{"n": 1}]}),
    "a hash that is none": lambda r: r["files"]["task.json"].update(sha256="abc"),
    "a size below 0": lambda r: r["files"]["task.json"].update(size=-1),
    "a temperature of 0": lambda r: r["calibration"].update(temperature=0),
    "a label that is no text": lambda r: r.update(labels=[1]),
    "hours as text": lambda r: r["training"].update(hours="two"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_reading_rejects_the_schema_rejects(change, validator, tmp_path):
    record = copy.deepcopy(read("highway_bn_cifar10"))
    CHANGES[change](record)
    assert list(validator.iter_errors(record))
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError):
        Record.read(path)
