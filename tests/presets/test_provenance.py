"""Presets state where their weights come from, under which license, and only claim own training."""

import json

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import data, models
from keras_unrolled.finetuning.run import finetune
from tests.convert.test_timm import write_checkpoint
from tests.nets import randomize

LICENSE = "cc-by-nc-4.0"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A preset under another license than ours."""
    folder = tmp_path_factory.mktemp("provenance") / "base"
    model = models.resnet(8, dataset="cifar", labels=list(data.load_sample().names))
    randomize(model)
    metric = {"dataset": "cifar10", "split": "test", "n": 9, "metric": "accuracy", "value": 0.5}
    ku.save_preset(
        model,
        folder,
        license=LICENSE,
        training={"dataset": "cifar10", "command": "none"},
        metrics=({**metric, "origin": "made up for this test"},),
    )
    return folder


@pytest.mark.slow
def test_converted_preset_is_regated_with_its_source_and_license(base, tmp_path):
    record = ku.save_preset(ku.from_preset(base, gating="full"), tmp_path / "full")
    assert (record.origin, record.license) == ("regated", LICENSE)
    assert record.source["name"] == "base"
    assert record.source["gating"] == "residual"
    assert record.metrics == ()


def test_new_head_is_not_recorded_as_trained(base, tmp_path):
    record = ku.save_preset(ku.from_preset(base, labels=["a", "b"]), tmp_path / "head")
    assert (record.origin, record.license, record.metrics) == ("regated", LICENSE, ())


def test_copy_keeps_what_the_record_states(base, tmp_path):
    old = ku.load_record(base)
    new = ku.save_preset(ku.from_preset(base), tmp_path / "copy")
    for name in ("origin", "license", "metrics", "training", "dataset", "source"):
        assert getattr(new, name) == getattr(old, name)


def test_weights_changed_after_loading_are_recorded_as_trained(base, tmp_path):
    model = ku.from_preset(base)
    model.output_dense.bias.assign(model.output_dense.bias + 1.0)
    record = ku.save_preset(model, tmp_path / "changed")
    assert (record.origin, record.license, record.metrics) == ("trained", LICENSE, ())
    assert record.source["name"] == "base"
    assert "metrics" not in record.source


@pytest.mark.slow
def test_fine_tuned_preset_inherits_license_and_source(base, tmp_path):
    sample = data.load_sample()
    two = sample.take(np.flatnonzero(sample.labels < 2)[:40])
    two = data.Examples(two.images, two.labels, sample.names[:2], "two")
    finetune(base, two, tmp_path / "tuned", epochs=1, head_only=True)
    record = ku.load_record(tmp_path / "tuned")
    assert (record.origin, record.license) == ("trained", LICENSE)
    assert record.source["name"] == "base"
    assert record.training["base"] == "base"


@pytest.mark.slow
def test_network_of_timm_keeps_its_license(tmp_path):
    folder = write_checkpoint(tmp_path / "resnet18", "resnet18")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["license"] = LICENSE
    (folder / "config.json").write_text(json.dumps(config))
    record = ku.save_preset(ku.from_preset(folder), tmp_path / "ours")
    assert (record.origin, record.license) == ("regated", LICENSE)
    assert "model.safetensors" in record.source["files"]


@pytest.mark.slow
def test_network_of_keras_applications_is_not_recorded_as_trained(tmp_path):
    keras.applications.ResNet50(weights=None, classes=2).save(tmp_path / "net.keras")
    record = ku.save_preset(ku.from_preset(tmp_path / "net.keras"), tmp_path / "ours")
    assert (record.origin, record.license) == ("regated", "unknown")


def test_own_network_is_recorded_as_trained(tmp_path):
    model = models.resnet(8, dataset="cifar", num_classes=2)
    record = ku.save_preset(model, tmp_path / "own")
    assert (record.origin, record.license, record.source) == ("trained", "Apache-2.0", {})
