import dataclasses
import json

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli, files, models
from keras_unrolled.presets import layout, verification
from keras_unrolled.presets.describing import find_conflict
from tests.conftest import first_fast
from tests.nets import randomize


@pytest.fixture
def folder(tmp_path):
    model = models.highway(8, dataset="cifar")
    randomize(model)
    ku.save_preset(model, tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory):
    """A preset's folder and its model, which tests leave as they are."""
    folder = tmp_path_factory.mktemp("saved") / "small"
    ku.save_preset(models.highway(8, dataset="cifar"), folder)
    return folder, ku.from_preset(folder, dtype="float32")


def rewrite(folder, **changes):
    """Changes golden outputs and makes the record agree with the file."""
    with np.load(folder / layout.GOLDEN) as file:
        arrays = {**file, **{k: change(file[k]) for k, change in changes.items()}}
    np.savez(folder / layout.GOLDEN, **arrays)
    record = json.loads((folder / layout.RECORD).read_text())
    record["files"][layout.GOLDEN] = files.fingerprint(folder / layout.GOLDEN)
    (folder / layout.RECORD).write_text(json.dumps(record))


def test_preset_computes_its_golden_outputs(folder, capsys):
    found = verification.verify(folder)
    assert found["differences"].keys() == {"tensor_features", "tensor_scores", "image_scores"}
    assert max(found["differences"].values()) < 1e-5
    assert cli.main(["verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == len(ku.load_record(folder).files)


def test_network_without_a_preprocessor_has_golden_outputs_too(tmp_path):
    backbone = models.resnet(8, dataset="cifar").backbone
    ku.save_preset(models.ImageClassifier(backbone, 3), tmp_path / "bare")
    assert verification.verify(tmp_path / "bare")["differences"].keys() == {
        "tensor_features",
        "tensor_scores",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"image_shape": (None, None, 1)},
        {"image_shape": (24, 40, 5)},
        {"image_shape": (24, 40, 3), "preprocessor": None},
    ],
    ids=str,
)
def test_network_of_another_image_shape_has_golden_outputs_too(options, tmp_path):
    model = models.resnet(8, dataset="cifar", **options)
    randomize(model)
    ku.save_preset(model, tmp_path / "other")
    assert max(verification.verify(tmp_path / "other")["differences"].values()) < 1e-5


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("task",), "text-generation"),
        (("parameters",), None),
        (("macs",), 1),
        (("network", "gating"), "full"),
        (("network", "colour"), "red"),
        (("network", "epsilon"), 2e-5),
        (("network", "stackwise_num_blocks"), [1, 1, 2]),
        (("preprocessing", "scale"), [0, 0, 0]),
        (("preprocessing", "interpolation"), "bicubic"),
        (("preprocessing", "image_size"), None),
    ],
    ids=str,
)
def test_record_that_contradicts_the_network_is_found_out(saved_once, monkeypatch, place, value):
    folder, model = saved_once
    data = json.loads((folder / layout.RECORD).read_text())
    *way, last = place
    inner = data
    for key in way:
        inner = inner[key]
    inner[last] = inner[last] + 1 if value is None and last == "parameters" else value
    record = dataclasses.replace(ku.load_record(folder), **{place[0]: data[place[0]]})
    # Both as they are loaded, once for all cases.
    monkeypatch.setattr(verification, "resolve", lambda _: (folder, record))
    monkeypatch.setattr(verification, "from_preset", lambda *_, **__: model)
    with pytest.raises(InputError, match=rf"Expected {'.'.join(place)} of the record in .*Restore"):
        verification.verify(folder)


def test_record_that_was_edited_is_found_out(folder):
    path = folder / layout.RECORD
    path.write_text(path.read_text().replace('"gating": "coupled"', '"gating": "full"'))
    with pytest.raises(InputError, match=r"network\.gating .* 'coupled'\. The record has 'full'"):
        verification.verify(folder)


def test_record_that_states_less_is_accepted(saved_once):
    folder, model = saved_once
    record = ku.load_record(folder)
    network = {k: v for k, v in record.network.items() if k != "epsilon"}
    fewer = dataclasses.replace(record, network=network, preprocessing={}, macs=None)
    assert find_conflict(record, model) is find_conflict(fewer, model) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", first_fast("image_scores", "tensor_features", "tensor_scores"))
def test_another_function_is_found_out(folder, name):
    rewrite(folder, **{name: lambda a: a + 0.01 * np.abs(a).max()})
    with pytest.raises(InputError, match=f"golden {name}"):
        verification.verify(folder)


def test_damaged_golden_file_is_found_by_its_hash(folder):
    path = folder / layout.GOLDEN
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"golden\.npz to have the sha256"):
        verification.verify(folder)


def test_preset_without_golden_outputs_is_rejected(folder):
    (folder / layout.RECORD).unlink()
    with pytest.raises(InputError, match="save it again"):
        verification.verify(folder)


@pytest.mark.parametrize("name", ["highway_bn_cifar10", "resnet_bn_cifar10"])
def test_shipped_presets_compute_what_they_computed_when_they_were_made(name):
    assert cli.main(["verify", name]) == 0
