"""Files of Keras models by somebody who wants more than a conversion: refused before they are built."""

import json
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_unrolled import InputError, convert

CLASSES = 400_000


@pytest.fixture(scope="module")
def architecture():
    """The configuration of ResNet50 as text, with 5 classes."""
    return keras.applications.ResNet50(weights=None, classes=5).to_json()


@pytest.fixture
def loaded(monkeypatch):
    """The paths of files that Keras is made to load, which it then does not."""
    paths = []

    def load_model(path, **options):
        paths.append(path)
        raise ValueError("reached Keras")

    monkeypatch.setattr(keras.saving, "load_model", load_model)
    return paths


def declare(group, name, shape):
    group.create_dataset(name, shape=shape, dtype="float32", chunks=(1, *shape[1:]))


def refused(path, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=message):
        convert.from_keras_applications(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_classes_that_a_file_of_weights_only_declares_are_not_allocated(tmp_path):
    path = tmp_path / "small.weights.h5"
    with h5py.File(path, "w") as file:
        for layer in ("conv2d", "batch_normalization"):
            for number in range(53):
                file.create_group(f"layers/{layer}_{number}" if number else f"layers/{layer}")
        declare(file.create_group("layers/dense/vars"), "0", (2048, CLASSES))
    assert path.stat().st_size < 100_000
    refused(path, "not an array of numbers that are all in the file")


def test_classes_that_published_weights_declare_are_not_allocated(tmp_path):
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file.create_group("conv1_conv")
        for stage, blocks in zip(range(2, 6), (3, 4, 6, 3)):
            for block in range(1, blocks + 1):
                file.create_group(f"conv{stage}_block{block}_out")
        declare(file.create_group("predictions/predictions"), "kernel:0", (2048, CLASSES))
    refused(tmp_path / "small.h5", "not an array of numbers that are all in the file")


def write(path, config):
    """A file of a model with a configuration, and with weights of a head for 5 classes."""
    target = path.with_name("weights") if path.suffix == ".keras" else path
    with h5py.File(target, "w") as file:
        file["dense"] = np.zeros((2048, 5), "float32")
        if path.suffix == ".h5":
            file.attrs["model_config"] = json.dumps(config)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.write(target, "model.weights.h5")
    return path


def find(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == name)


def set_option(layer, **options):
    return lambda config: find(config, layer)["config"].update(options)


def set_class(layer, **entries):
    return lambda config: find(config, layer).update(entries)


LAMBDA = {"class_name": "Lambda", "module": "keras.layers", "config": {}, "registered_name": None}
FOREIGN = {"class_name": "system", "module": "os", "config": {}, "registered_name": None}
CUSTOM = {"class_name": "A", "module": "keras", "config": {}, "registered_name": "mine>A"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_option("predictions", units=CLASSES), "'predictions' has another shape"),
        (set_option("conv1_conv", filters=10**6), "'conv1_conv' has another shape"),
        (set_option("conv3_block2_2_conv", kernel_size=[999, 999]), "'conv3_block2_2_conv' has"),
        (set_option("conv4_block1_0_conv", name="x"), "'x' has another shape"),
        (set_option("input_layer", batch_shape=[None, None, None, 10**7]), "'input_layer' has"),
        (set_class("avg_pool", class_name="Lambda"), "a layer of the class 'Lambda'"),
        (set_class("avg_pool", module="os"), "a GlobalAveragePooling2D of 'os'"),
        (set_class("avg_pool", module="keras_evil.x"), "a GlobalAveragePooling2D of 'keras_evil"),
        (set_option("conv1_conv", kernel_initializer=LAMBDA), "a Lambda of 'keras.layers'"),
        (set_option("conv1_bn", beta_constraint=FOREIGN), "a system of 'os'"),
        (set_option("predictions", activation=[{"x": CUSTOM}]), "a mine>A of 'keras'"),
        (lambda config: config.update(class_name="Sequential"), "a Sequential of 177 layers"),
        (lambda c: c["config"]["layers"].extend(c["config"]["layers"] * 6), "1,239 layers"),
        (lambda config: config.update(config=[]), "no configuration of a model"),
        (lambda config: find(config, "avg_pool").pop("config"), "KeyError|'config'"),
        (
            lambda config: config.update(registered_name="keras_unrolled>ImageClassifier"),
            "as it is",
        ),
    ],
)
@pytest.mark.parametrize("name", ["net.h5", "net.keras"])
def test_what_is_no_residual_net_does_not_reach_keras(
    architecture, loaded, tmp_path, name, change, message
):
    config = json.loads(architecture)
    next(layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer")[
        "config"
    ]["name"] = "input_layer"
    change(config)
    refused(write(tmp_path / name, config), message)
    assert loaded == []


@pytest.mark.parametrize("name", ["net.h5", "net.keras"])
def test_residual_net_reaches_keras(architecture, loaded, tmp_path, name):
    path = write(tmp_path / name, json.loads(architecture))
    refused(path, "reached Keras")
    assert loaded == [path]


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "assets/x"])
def test_archive_that_unpacks_to_more_is_refused(architecture, loaded, tmp_path, member):
    path = write(tmp_path / "net.keras", json.loads(architecture))
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = contents.get(member, b"") + b" " * 50_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    refused(path, "it unpacks to 5")
    assert loaded == []
