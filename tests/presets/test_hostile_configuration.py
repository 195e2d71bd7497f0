"""Configurations by somebody who wants more than to be loaded: other classes, absurd sizes."""

import json

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from keras_unrolled.presets import layout
from tests.presets.hostile import CALLS, copy, edit, refused


@keras.saving.register_keras_serializable(package="tests")
class Foreign(keras.layers.Layer):
    """A class that Keras would make: its constructor is somebody's code."""

    def __init__(self, **kwargs):
        CALLS.append(kwargs)
        super().__init__(**kwargs)


@keras.saving.register_keras_serializable(package="tests")
def foreign(x):
    CALLS.append(x)
    return x


@pytest.fixture(params=["images", "language"])
def folder(request, saved_presets, tmp_path):
    """A copy of each preset, without its record."""
    return copy(saved_presets / request.param, tmp_path / "small", forget=True)


@pytest.fixture
def images(saved_presets, tmp_path):
    return copy(saved_presets / "images", tmp_path / "small", forget=True)


SERIALIZED = [
    keras.saving.serialize_keras_object(Foreign()),
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 10**9}},
    {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
    {"class_name": "__tensor__", "config": {"value": [[0] * 9] * 9, "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": [0], "dtype": "float32"}},
    {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
    keras.saving.serialize_keras_object(foreign),
]


@pytest.mark.parametrize("value", SERIALIZED, ids=lambda v: v["class_name"] + str(v.get("module")))
@pytest.mark.parametrize(
    "place", ["preprocessor", "backbone", "dropout", "name", "new", "dtype", "inside", "part"]
)
def test_no_other_class_is_made(folder, value, place):
    def change(task):
        inner = task["config"]["backbone"]["config"]
        if place == "inside":
            inner[next(iter(inner))] = [[value]]
        elif place == "dtype":
            task["config"]["preprocessor"]["config"]["dtype"] = value
        elif place == "part":
            (part,) = {"image_converter", "tokenizer"} & task["config"]["preprocessor"][
                "config"
            ].keys()
            task["config"]["preprocessor"]["config"][part] = value
        else:
            task["config"][place] = value

    edit(folder, change)
    refused(folder, r"in the configuration of the task, .* Restore the file")


@pytest.mark.parametrize(
    "value", [*SERIALIZED, "tests>foreign", "deserialize", "eval", 3, ["relu"]], ids=str
)
def test_no_other_function_is_an_activation(images, value):
    edit(images, lambda task: task["config"].update(activation=value))
    refused(images, "an activation of Keras in the configuration of the task, activation")


@pytest.mark.slow
@pytest.mark.parametrize("value", ["softmax", keras.activations.softmax], ids=["name", "function"])
def test_an_activation_of_keras_is_kept(images, tmp_path, value):
    model = ku.from_preset(images)
    changed = models.ImageClassifier(
        model.backbone, 3, preprocessor=model.preprocessor, activation=value
    )
    ku.save_preset(changed, tmp_path / "softmax")
    scores = ku.from_preset(tmp_path / "softmax").predict(
        np.zeros((2, 32, 32, 3), "uint8"), verbose=0
    )
    np.testing.assert_allclose(scores.sum(axis=-1), 1, rtol=1e-6)


def test_what_keras_would_build_and_compile_besides_is_ignored(images):
    def change(task):
        task["compile_config"] = {"optimizer": SERIALIZED[0]}
        task["build_config"] = {"input_shape": [1, 10**6, 10**6, 3]}
        task["shared_object_id"] = 1
        task["module"] = task["config"]["backbone"]["module"] = "os"

    edit(images, change)
    CALLS.clear()
    assert isinstance(ku.from_preset(images), models.ImageClassifier)
    assert CALLS == []


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("image_converter", {"image_size": [16_384, 16_384], "crop_fraction": 0.01}),
        ("image_converter", {"image_size": [32]}),
        ("image_converter", {"image_size": 32}),
        ("image_converter", {"scale": [1, 1, 1, 1]}),
        ("image_converter", {"scale": float("nan")}),
        ("image_converter", {"offset": [1e300, 0, 0]}),
        ("image_converter", {"data_format": "channels_first"}),
        ("image_converter", {"dtype": "string"}),
        ("backbone", {"epsilon": float("inf")}),
        ("backbone", {"epsilon": 10**400}),
        ("backbone", {"stackwise_num_blocks": [2_000, 1, 1]}),
        ("backbone", {"stackwise_num_blocks": 10**30}),
        ("backbone", {"name": "x" * 2_000}),
        ("backbone", {"mix_relu": [[[[[1]]]]]}),
    ],
    ids=str,
)
def test_absurd_values_are_refused(images, part, changes):
    def change(task):
        config = task["config"]
        config = (
            config["backbone"] if part == "backbone" else config["preprocessor"]["config"][part]
        )
        config["config"].update(changes)

    edit(images, change)
    refused(images, "(?i)restore|choose|to be one of")


@pytest.mark.parametrize(
    "changes",
    [
        {"filter_widths": [100] * 3, "num_filters": [65_536] * 3},
        {"num_characters": 10**6, "character_dim": 4_096},
        {"units": 65_536},
        {"num_layers": 1_000},
        {"num_recurrent_layers": 100},
        {"units": None},
    ],
    ids=str,
)
def test_language_models_that_the_file_does_not_fill_are_refused(saved_presets, tmp_path, changes):
    folder = copy(saved_presets / "language", tmp_path / "small", forget=True)
    edit(folder, lambda task: task["config"]["backbone"]["config"].update(changes))
    refused(folder, "restore the folder|Restore the file")


def test_vocabulary_is_bounded_and_listed_in_the_record(saved_presets, tmp_path):
    folder = copy(saved_presets / "language", tmp_path / "small", forget=False)
    record = json.loads((folder / layout.RECORD).read_text())
    vocabulary = folder / layout.VOCABULARY / "vocabulary.json"
    del record["files"][vocabulary.relative_to(folder).as_posix()]
    (folder / layout.RECORD).write_text(json.dumps(record))
    refused(folder, "It does not list assets/tokenizer/vocabulary")
    for name in (layout.RECORD, layout.GOLDEN):
        (folder / name).unlink()
    with open(vocabulary, "r+b") as file:
        file.truncate(2**34)
    refused(folder, "17,179,869,184 bytes")
