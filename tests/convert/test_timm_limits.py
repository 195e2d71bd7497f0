"""timm configurations by anyone: every value is of its type and in its range, or is refused."""

import json

import pytest

from keras_unrolled import InputError, convert
from tests.convert.test_timm import write_config

ODD = [None, True, -1, 0, 7, 2**70, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "x"]
ODD += [[], [1], [[]], [3, 0, 0], [3, 10**6, 10**6], [0.5] * 4, [float("nan")] * 3, {}, {"x": 1}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"std": [0.2, 0, 0.2]}, "Expected `std`"),
        ({"std": [0.2, float("nan"), 0.2]}, "Expected `std`"),
        ({"std": [0.2, -0.2, 0.2]}, "Expected `std`"),
        ({"std": [0.2]}, "Expected `std` of 3 numbers"),
        ({"mean": [0.5] * 4}, "Expected `mean` of 3 numbers"),
        ({"mean": [0.5, float("inf"), 0.5]}, "Expected `mean`"),
        ({"crop_pct": 0}, "Expected `crop_pct`"),
        ({"crop_pct": float("nan")}, "Expected `crop_pct`"),
        ({"input_size": [3, 10**6, 10**6]}, "Expected `input_size`"),
        ({"input_size": [3, 224]}, "Expected `input_size` of 3 numbers"),
        ({"input_size": [3, 2.5, 2.5]}, "Expected `input_size`"),
        ({"input_size": []}, "Expected timm's configuration"),
        ({"mean": [10**400, 0, 0]}, "Expected timm's configuration"),
        ({"architecture": ["resnet18"]}, "which cannot be converted"),
        ({"num_classes": "7", "model_args": {}}, "Expected `num_classes`"),
        ({"license": ["mit"]}, "name of a license"),
        ({"model_args": ["x"]}, "Expected timm's configuration"),
        ({"interpolation": {}}, "Expected `interpolation`"),
    ],
    ids=str,
)
def test_value_out_of_range_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        convert.timm.read_config(write_config(tmp_path, **changes))


@pytest.mark.parametrize("labels", ["abc", {"0": "a"}, [1, 2], [None]], ids=str)
def test_labels_of_another_form_are_refused(tmp_path, labels):
    write_config(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "label_names": labels}))
    with pytest.raises(InputError, match="names of classes in a list"):
        convert.timm.read_config(tmp_path)


def test_whatever_an_entry_is_replaced_by_is_refused_or_read(tmp_path):
    write_config(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    places = [(key,) for key in config]
    places += [("pretrained_cfg", key) for key in config["pretrained_cfg"]]
    read = 0
    for place in places:
        for value in ODD:
            data = json.loads(json.dumps(config))
            inner = data
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            text = json.dumps(data)
            (tmp_path / "config.json").write_text(text)
            try:
                convert.timm.read_config(tmp_path)
                read += 1
            except InputError as error:
                assert "Expected" in str(error), (place, value)  # noqa: PT017
    assert read < len(places) * len(ODD) / 2


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"architecture":' * 50_000, '{"architecture":' + "[" * 500 + "]" * 500 + "}"],
    ids=["lists", "objects", "nested"],
)
def test_configuration_nested_without_end_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert not convert.timm.is_timm(tmp_path)
    with pytest.raises(InputError, match="Expected timm's configuration"):
        convert.from_timm(tmp_path)


@pytest.mark.parametrize("name", ["record.json", "task.json"])
def test_configuration_of_a_preset_is_not_opened(tmp_path, name):
    assert convert.timm.is_timm(write_config(tmp_path))
    (tmp_path / name).write_text("{}")
    assert not convert.timm.is_timm(tmp_path)
