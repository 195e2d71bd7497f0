"""What KerasHub 0.32 does wrong when it saves and loads, row by row, is right here or refused.

Rows that need a Hub are in `test_hub.py`: a commit that lands while loading, offline and not
cached, `hf://org/name@revision`. The vocabulary's length comes with the language models; its
counterpart here are the labels.
"""

import json
import re
import shutil

import h5py
import keras
import keras_hub
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.presets import card
from tests.nets import randomize


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holes") / "small"
    model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
    randomize(model)
    ku.save_preset(model, folder)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    return folder, images, model.predict(images, verbose=0)


@pytest.fixture
def folder(saved, tmp_path):
    shutil.copytree(saved[0], tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def others(folder):
    """A folder as KerasHub itself writes it, without our record."""
    for name in ("record.json", "golden.npz"):
        (folder / name).unlink()
    return folder


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def refused(folder, message, **options):
    with pytest.raises(InputError, match=message):
        ku.from_preset(folder, **options)


@pytest.mark.slow
def test_one_weight_byte_flipped(folder):
    path = folder / "model.weights.h5"
    with h5py.File(path) as file:
        place = file["layers/stem/conv/vars/0"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place + 2] ^= 1
    path.write_bytes(data)
    keras_hub.models.ImageClassifier.from_preset(str(folder))  # loads, and says nothing
    refused(folder, r"model\.weights\.h5 to have the sha256")


def test_nan_weights(others):
    with h5py.File(others / "model.weights.h5", "r+") as file:
        file["layers/stem/conv/vars/0"][0, 0, 0, 0] = np.nan
    refused(others, "NaN or infinity in stem/conv/kernel")


def test_nan_weights_are_not_even_saved(folder, tmp_path):
    model = ku.from_preset(folder)
    model.output_dense.bias.assign([np.nan, 0, 0])
    with pytest.raises(InputError, match="NaN or infinity in predictions/bias"):
        ku.save_preset(model, tmp_path / "nan")
    assert not (tmp_path / "nan").exists()


def test_task_weights_missing(others):
    (others / "task.weights.h5").unlink()
    refused(others, r"Expected weights in .*task\.weights\.h5")


def test_config_with_fewer_blocks_than_the_file(others):
    def change(task):
        task["config"]["backbone"]["config"]["stackwise_num_blocks"] = [1, 1]
        task["config"]["backbone"]["config"]["stackwise_num_filters"] = [16, 64]
        task["config"]["backbone"]["config"]["stackwise_num_strides"] = [1, 2]

    edit(others / "task.json", change)
    refused(others, "belongs to another network")


def test_unknown_keyword(others):
    refused(others, "unknown one: num_class=.* Did you mean 'num_classes'", num_class=3)
    edit(others / "task.json", lambda task: task["config"]["backbone"]["config"].update(color=1))
    refused(others, "unknown one: color")


def test_labels_of_another_length(others):
    edit(others / "task.json", lambda task: task["config"].update(labels=["a", "b"]))
    refused(others, "one label for each of 3 classes")


@pytest.mark.slow
def test_resave_over_another_preset_leaves_no_stale_file(folder, saved):
    # As KerasHub leaves a sharded preset behind.
    (folder / "model.weights.json").write_text(json.dumps({"weight_map": {}}))
    (folder / "model_00000.weights.h5").write_bytes(b"stale")
    ku.save_preset(ku.from_preset(saved[0]), folder, overwrite=True)
    assert {p.name for p in folder.iterdir()} == {p.name for p in saved[0].iterdir()}
    assert np.abs(ku.from_preset(folder).predict(saved[1], verbose=0) - saved[2]).max() == 0.0


def test_backbone_saved_over_a_task(folder):
    other = models.highway(8, dataset="cifar", num_classes=3, gating="full")
    other.backbone.save_to_preset(str(folder))
    refused(folder, "of its record")


@pytest.mark.slow
def test_optimizer_state_stays_out_of_the_head(folder, saved, tmp_path, recwarn):
    model = ku.from_preset(folder)
    model.fit(saved[1], np.array([0, 1, 2]), batch_size=3, verbose=0, shuffle=False)
    ku.save_preset(model, tmp_path / "trained")
    size = (tmp_path / "trained" / "task.weights.h5").stat().st_size
    assert size == (saved[0] / "task.weights.h5").stat().st_size
    recwarn.clear()
    ku.from_preset(tmp_path / "trained")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
def test_weights_file_truncated_or_broken(others, name):
    data = (others / name).read_bytes()
    for content in (data[: len(data) // 2], b"", b"not HDF5"):
        (others / name).write_bytes(content)
        refused(others, rf"HDF5 file of weights in .*{name}")


def test_json_broken(others):
    (others / "task.json").write_text('{"config": ')
    refused(others, r"Expected JSON in .*task\.json")


def test_ten_million_filters(others):
    for filters in (10**7, 60_000):  # the second is a width that the constructor allows
        widths = {"stackwise_num_filters": [filters, 8, 8]}
        edit(
            others / "task.json",
            lambda task, change=widths: task["config"]["backbone"]["config"].update(change),
        )
        refused(others, "whole number|of at most")


def test_typo_in_a_name():
    with pytest.raises(InputError, match="Did you mean 'highway_bn_imagenet'") as error:
        ku.from_preset("highway_bn_imagnet")
    assert "hf://org/name" in str(error.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_quantized_preset(folder, tmp_path, saved):
    model = ku.from_preset(folder)
    model.quantize("int8")
    with pytest.raises(InputError, match="Save it before, and call `quantize`"):
        ku.save_preset(model, tmp_path / "quantized")
    assert not (tmp_path / "quantized").exists()
    assert model.predict(saved[1], verbose=0).shape == (3, 3)


def test_generated_card_is_complete_and_not_written_into_the_folder(folder):
    before = sorted(p.name for p in folder.iterdir())
    text = card.make_card(ku.load_record("resnet_bn_cifar10"), "ada/resnet")
    for line in ("license: apache-2.0", "library_name: keras_unrolled", "- uoft-cs/cifar10"):
        assert line in text
    accuracy = ku.load_record("resnet_bn_cifar10").score("cifar10")
    (value,) = re.findall(r"value: ([\d.]+)", text)
    assert float(value) == pytest.approx(100 * accuracy)
    assert sorted(p.name for p in folder.iterdir()) == before


def test_code_in_a_configuration_is_not_run(others, tmp_path):
    layer = keras.layers.Lambda(lambda x, touch=open, at=str(tmp_path / "ran"): touch(at, "w"))
    serialized = keras.saving.serialize_keras_object(layer)
    edit(others / "task.json", lambda task: task["config"].update(preprocessor=serialized))
    refused(others, "Expected a keras_unrolled>ImageClassifierPreprocessor")
    assert not (tmp_path / "ran").exists()
