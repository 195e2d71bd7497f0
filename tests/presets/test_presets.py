"""A preset comes back as it was saved, or is refused with what is wrong."""

import json
import shutil
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from tests.nets import randomize


def make_model(**options):
    labels = [f"class{i}" for i in range(4)]
    model = models.highway(8, dataset="cifar", num_classes=4, labels=labels, **options)
    randomize(model)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "small"
    # Dropout has a seed's state, which is no weight.
    model = make_model(layer_dropout=0.1, dropout=0.1)
    record = ku.save_preset(model, folder, description="A small net.")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype("uint8")
    return folder, record, images, model.predict(images, verbose=0)


@pytest.fixture
def copy(saved, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(saved[0], folder)
    return folder


def forget(folder):
    """Takes away what KerasHub does not write: what is left is a third party's preset."""
    (folder / "record.json").unlink()
    (folder / "golden.npz").unlink()


def test_preset_comes_back_without_a_difference(saved):
    folder, _, images, expected = saved
    model = ku.from_preset(folder)
    assert model.labels == ["class0", "class1", "class2", "class3"]
    assert np.abs(model.predict(images, verbose=0) - expected).max() == 0.0


@pytest.mark.slow
def test_new_process_gives_the_same_scores_to_the_bit(saved, tmp_path):
    folder, _, images, expected = saved
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np, keras_unrolled as ku; m = ku.from_preset(sys.argv[1]); "
        "np.save(sys.argv[3], m.predict(np.load(sys.argv[2]), verbose=0))"
    )
    files = [str(tmp_path / "images.npy"), str(tmp_path / "scores.npy")]
    subprocess.run(
        [sys.executable, "-c", code, str(folder), *files], check=True, capture_output=True
    )
    np.testing.assert_array_equal(np.load(files[1]), expected)


def test_record_says_what_the_preset_is(saved):
    folder, record, *_ = saved
    assert ku.load_record(folder) == record
    assert record.name == "small"
    assert record.origin == "trained"
    model = ku.from_preset(folder)
    assert record.parameters == sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert record.macs == model.count_macs((32, 32))
    assert record.network["gating"] == "coupled"
    assert record.labels == ("class0", "class1", "class2", "class3")
    assert record.versions["keras"] == keras.__version__
    assert set(record.files) == {p.name for p in folder.iterdir()} - {"record.json"}


def test_keras_hub_opens_the_folder_too(saved):
    import keras_hub

    folder, _, images, expected = saved
    model = keras_hub.models.ImageClassifier.from_preset(str(folder))
    assert np.abs(model.predict(images, verbose=0) - expected).max() == 0.0


def test_new_head_keeps_the_backbone(saved):
    folder, *_ = saved
    model, old = ku.from_preset(folder, num_classes=3), ku.from_preset(folder)
    assert model.num_classes == 3
    assert model.labels is None
    for a, b in zip(model.backbone.weights, old.backbone.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    named = ku.from_preset(folder, labels=["x", "y"])
    assert named.num_classes == 2
    assert named.labels == ["x", "y"]


@pytest.mark.parametrize("count", [0, 1, -3, 2.5, "ten", 10**9])
def test_wrong_number_of_classes_is_rejected(saved, count):
    with pytest.raises(InputError, match="Expected `num_classes`"):
        ku.from_preset(saved[0], num_classes=count)


@pytest.mark.slow
def test_random_weights_where_asked(saved):
    folder, _, images, expected = saved
    model = ku.from_preset(folder, load_weights=False)
    assert np.abs(model.predict(images, verbose=0) - expected).max() > 0.01


def test_precision_can_be_chosen(saved):
    folder, _, images, expected = saved
    model = ku.from_preset(folder, dtype="mixed_bfloat16")
    assert model.backbone.compute_dtype == "bfloat16"
    scores = model.predict(images, verbose=0)
    np.testing.assert_allclose(scores, expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["bf16", "mixed", 32])
def test_dtype_that_is_none_is_rejected(saved, dtype):
    with pytest.raises(InputError, match="Expected a dtype policy"):
        ku.from_preset(saved[0], dtype=dtype)


def test_preset_is_saved_in_float32_unfrozen_and_without_optimizer(tmp_path):
    model = make_model(dtype="mixed_bfloat16")
    model.backbone.trainable = False
    model.compile(optimizer=keras.optimizers.Adam(), loss="mse")
    model.optimizer.build(model.trainable_variables)
    before = model.optimizer
    record = ku.save_preset(model, tmp_path / "p")
    assert model.optimizer is before
    model.save_to_preset(str(tmp_path / "keras_hub"))  # KerasHub's door leaves it out, too
    with h5py.File(tmp_path / "keras_hub" / "task.weights.h5") as file:
        assert "optimizer" not in file
    assert model.backbone.trainable is False
    with h5py.File(tmp_path / "p" / "task.weights.h5") as file:
        assert "optimizer" not in file
    again = ku.from_preset(tmp_path / "p")
    assert again.backbone.compute_dtype == "float32"
    assert again.backbone.trainable
    assert record.parameters == sum(int(np.prod(v.shape)) for v in again.trainable_variables)


@pytest.mark.parametrize(
    "name", ["model.weights.h5", "task.weights.h5", "task.json", "config.json"]
)
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(InputError, match=name):
        ku.from_preset(copy)


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5", "task.json"])
def test_one_flipped_bit_is_found_by_its_hash(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name} to have the sha256"):
        ku.from_preset(copy)


def test_truncated_file_is_found_by_its_size(copy):
    path = copy / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="to have the size"):
        ku.from_preset(copy)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "x"}', '{"unknown": 1}'])
def test_damaged_record_is_rejected(copy, text):
    (copy / "record.json").write_text(text)
    with pytest.raises(InputError, match=r"record\.json"):
        ku.from_preset(copy)


def test_record_cannot_lead_out_of_its_folder(copy):
    record = json.loads((copy / "record.json").read_text())
    record["files"]["../secret"] = {"sha256": "0", "size": 0}
    (copy / "record.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="names within it"):
        ku.from_preset(copy)


def test_without_a_record_the_weights_must_still_fit(copy):
    forget(copy)
    assert ku.from_preset(copy).num_classes == 4  # a third party's preset loads
    task = json.loads((copy / "task.json").read_text())
    # A deeper network in the file than in the configuration.
    task["config"]["backbone"]["config"]["stackwise_num_blocks"] = [1, 1, 2]
    (copy / "task.json").write_text(json.dumps(task))
    with pytest.raises(InputError, match="belongs to another network"):
        ku.from_preset(copy)


def test_record_that_went_missing_is_missed(copy):
    (copy / "record.json").unlink()
    with pytest.raises(InputError, match=r"Expected a record\.json .* Restore the record"):
        ku.from_preset(copy)


def test_without_a_record_nan_is_rejected(copy):
    forget(copy)
    with h5py.File(copy / "model.weights.h5", "r+") as file:
        file["layers/stem/conv/vars/0"][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in stem/conv/kernel"):
        ku.from_preset(copy)


def test_without_a_record_a_broken_file_of_weights_is_rejected(copy):
    forget(copy)
    (copy / "task.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=r"HDF5 file of weights in .*task\.weights\.h5"):
        ku.from_preset(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gating": "cupled"}, "Did you mean 'coupled'"),
        ({"stackwise_num_filters": [10**7, 8, 8]}, "whole number"),
        ({"color": "red"}, "unknown one: color"),
    ],
    ids=str,
)
def test_without_a_record_an_impossible_configuration_is_rejected(copy, change, message):
    forget(copy)
    task = json.loads((copy / "task.json").read_text())
    task["config"]["backbone"]["config"] |= change
    (copy / "task.json").write_text(json.dumps(task))
    with pytest.raises(InputError, match=message):
        ku.from_preset(copy)


def test_folder_of_another_class_is_rejected(copy):
    forget(copy)
    task = json.loads((copy / "task.json").read_text())
    for name, message in (
        (
            "keras_hub>ResNetImageClassifier",
            "Expected the configuration of a ResNetImageClassifier",
        ),
        ("keras_hub>VGGImageClassifier", "Found KerasHub's VGGImageClassifier"),
        ("someone>Classifier", "Expected `registered_name"),
    ):
        task["registered_name"] = name
        (copy / "task.json").write_text(json.dumps(task))
        with pytest.raises(InputError, match=message):
            ku.from_preset(copy)


def test_typo_in_a_name_is_rejected_with_the_right_one():
    with pytest.raises(InputError, match="Did you mean 'highway_bn_cifar10'"):
        ku.from_preset("higway_bn_cifar10")


@pytest.mark.slow
def test_nothing_half_written_is_left_when_the_disk_is_full(copy, tmp_path):
    # A limit on the size of files stands in for a full disk: writing fails alike.
    code = (
        "import resource, sys, keras_unrolled as ku; model = ku.from_preset(sys.argv[1]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "ku.save_preset(model, sys.argv[2], overwrite=True)"
    )
    former = {path.name: path.read_bytes() for path in copy.iterdir()}
    for target in (tmp_path / "new", copy):
        command = [sys.executable, "-c", code, str(copy), str(target)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode != 0  # HDF5 itself may fall over when the process ends
        assert "InputError: Expected to write the folder" in done.stderr
        assert "Is there room on the disk" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == former


def test_only_a_preset_may_be_replaced_and_only_where_allowed(saved, copy, tmp_path):
    model = make_model()
    with pytest.raises(InputError, match="pass --overwrite"):
        ku.save_preset(model, copy)
    ku.save_preset(model, copy, overwrite=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="something else"):
        ku.save_preset(model, other, overwrite=True)
    assert (other / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("model", "entries", "message"),
    [
        ("x", {}, "Received a str. Save others with model.save"),
        (keras.Sequential(), {}, "Received a Sequential"),
        (None, {"descripton": ""}, "Did you mean 'description'"),
        (None, {"overwrite": "yes"}, "Expected `overwrite` to be True or False"),
        (None, {"half": 1}, "Expected `half`"),
        (None, {"papers": "x"}, "`papers` of a record to be of type tuple.*Correct the value"),
    ],
    ids=["string", "keras", "entry", "overwrite", "half", "papers"],
)
def test_what_is_no_preset_to_save_is_rejected(model, entries, message, tmp_path):
    model = make_model() if model is None else model
    with pytest.raises(InputError, match=message):
        ku.save_preset(model, tmp_path / "p", **entries)
    assert not any(tmp_path.iterdir())


def test_entries_of_a_record_may_be_lists(tmp_path):
    found = ku.save_preset(
        make_model(), tmp_path / "p", papers=["https://arxiv.org/abs/1612.07771"]
    )
    assert found.papers == ("https://arxiv.org/abs/1612.07771",)


def test_empty_name_is_not_the_current_folder(copy, monkeypatch):
    monkeypatch.chdir(copy)
    for use in (ku.from_preset, ku.load_record, lambda name: ku.upload_preset("hf://me/x", name)):
        with pytest.raises(InputError, match=r"name for the preset\. Received: '', which is empty"):
            use("")
    with pytest.raises(InputError, match="name for the exported model"):
        make_model().export("")


def test_folder_whose_name_cannot_be_printed_is_rejected_before_all_work(tmp_path):
    with pytest.raises(InputError, match=r"control characters.*'a\\tb'. Choose another name"):
        ku.finetune("resnet_bn_cifar10", tmp_path / "missing", tmp_path / "a\tb")
    with pytest.raises(InputError, match="control characters"):
        ku.save_preset(make_model(), tmp_path / "a\u202eb")
    assert not any(tmp_path.iterdir())


def test_metric_without_its_origin_is_rejected(tmp_path):
    metric = {"dataset": "d", "split": "test", "n": 1, "metric": "accuracy", "value": 1.0}
    with pytest.raises(InputError, match="how it was measured"):
        ku.save_preset(make_model(), tmp_path / "p", metrics=(metric,))
    assert not (tmp_path / "p").exists()


def test_name_stands_for_its_preset_whatever_folders_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain_bn_cifar10").mkdir()
    expected = ku.load_record("plain_bn_cifar10")
    assert expected.name == "plain_bn_cifar10"
    assert ku.from_preset("plain_bn_cifar10").count_params() > 0
    with pytest.raises(InputError, match="plain_bn_cifar10"):
        ku.from_preset("./plain_bn_cifar10")
    with pytest.raises(InputError, match="Expected a folder of another name than a preset's"):
        ku.save_preset(models.resnet(8, dataset="cifar"), "highway_bn_cifar10")
    with pytest.raises(InputError, match="Expected the path of a folder"):
        ku.save_preset(models.resnet(8, dataset="cifar"), None)
