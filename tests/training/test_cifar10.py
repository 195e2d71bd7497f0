"""The program that makes a preset, from its arguments to its preset's folder."""

import functools

import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import data
from training import cifar10
from training.recipes.cifar10 import CLASSIC


def run(tmp_path, *arguments, preset="resnet_bn_cifar10", data_dir=None):
    return cifar10.main(
        [
            *("--preset", preset),
            *("--data-dir", str(data_dir or tmp_path)),
            *("--workdir", str(tmp_path / "work")),
            *arguments,
        ]
    )


def test_networks_of_a_depth_have_one_size_and_one_recipe():
    for depth in (20, 56, 110):
        alike = [name for name, recipe in CLASSIC.items() if recipe.network["depth"] == depth]
        sizes = [ku.load_record(name).parameters for name in alike]
        assert max(sizes) / min(sizes) < 1.05
    for name, recipe in CLASSIC.items():
        # Only the network differs, and that gradients are clipped without normalization.
        clip_norm = 1.0 if "_nobn" in name else None
        expected = {**CLASSIC["resnet_bn_cifar10"].to_dict(), "clip_norm": clip_norm}
        assert {**recipe.to_dict(), "network": 0} == {**expected, "network": 0}


@pytest.mark.slow
def test_smoke_run_ends_with_a_preset_and_its_record(tmp_path, tfds_dir, capsys, monkeypatch):
    # Three runs read the same images.
    monkeypatch.setattr(data, "load_cifar10", functools.cache(data.load_cifar10))
    settings = ["--smoke", "--set", "network.depth=8", "holdout=500", "--set", "seed=3"]
    assert run(tmp_path, *settings, data_dir=tfds_dir) == 0
    folder = tmp_path / "work" / "preset"
    record = ku.load_record(folder)
    assert record.name == "resnet_bn_cifar10_smoke"  # not a published name
    assert [(m["split"], m["n"]) for m in record.metrics] == [
        ("train[49500:]", 500),
        ("test", 10_000),
    ]
    assert record.training["recipe"]["holdout"] == 500
    assert record.training["seed"] == 3
    assert record.training["split"] == "train[:1000]"
    assert record.training["hardware"]
    # Enough to do it again, and nothing of this machine.
    assert record.training["command"] == (
        "python training/cifar10.py --preset resnet_bn_cifar10 --data-dir DIR --workdir DIR "
        "--smoke --set network.depth=8 holdout=500 seed=3"
    )
    assert str(tmp_path) not in (folder / "record.json").read_text()
    assert record.license == "Apache-2.0"
    assert record.labels[0] == "airplane"
    assert ku.from_preset(folder).num_classes == 10
    assert "on cifar10 test (10,000 images)" in capsys.readouterr().out
    with Image.open(tmp_path / "work" / "curves.png") as curves:
        assert curves.size[0] > 1000  # a panel for rate, loss, accuracy and held-out accuracy
    # The same command finds the run finished and makes the same preset again.
    assert run(tmp_path, *settings, data_dir=tfds_dir) == 0
    again = ku.load_record(folder)
    assert again.metrics == record.metrics
    assert run(tmp_path, "--smoke", "--set", "seed=4", data_dir=tfds_dir) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "resnet_bn_cifar100"}, "Did you mean 'resnet_bn_cifar10'"),
        ({}, "download_and_prepare"),
    ],
    ids=str,
)
def test_bad_input_exits_with_code_2(options, message, tmp_path, capsys):
    assert run(tmp_path, **options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "work").exists()
