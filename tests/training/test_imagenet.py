"""The program that makes ImageNet presets, on a handful of real photographs."""

import json

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from training import imagenet
from training.job import build
from training.recipes.imagenet import RECIPES

SMALL = [
    "size=32",
    "network.width_multiplier=0.0625",
    "network.depth=18",
    "epochs=1",
    "milestones=[]",
]


CLASSIC = RECIPES["classic"]


def test_every_imagenet_preset_has_three_recipes():
    names = {record.name for record in ku.list_presets(dataset="imagenet")}
    assert list(RECIPES) == ["classic", "short", "strong", "adapt"]
    *from_scratch, adapted = RECIPES.values()
    for presets in from_scratch:
        assert names == presets.keys()
    # Those that stand for a regated checkpoint learn from there.
    regated = {n for n in names if ku.load_record(n).origin == "regated"}
    assert {name.replace("_adapted", "") for name in adapted} == regated


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLASSIC))
def test_recipe_builds_the_network_of_its_record(name):
    model = build(CLASSIC[name])
    record = ku.load_record(name)
    config = model.backbone.get_config()
    assert {key: config[key] for key in record.network} == {
        key: tuple(value) if isinstance(config[key], tuple) else value
        for key, value in record.network.items()
    }
    assert model.num_classes == 1000


def run(data_dir, workdir, *arguments):
    command = ["--preset", "highway_bn_imagenet", "--data-dir", str(data_dir)]
    return imagenet.main([*command, "--workdir", str(workdir), *arguments])


@pytest.mark.slow
def test_smoke_run_makes_a_preset_from_folders(data_dir, tmp_path, capsys):
    assert run(data_dir, tmp_path / "run", "--smoke", "--set", *SMALL, "holdout=6") == 0
    record = ku.load_record(tmp_path / "run" / "preset")
    assert record.name == "highway_bn_imagenet_smoke"  # not a published name
    assert record.dataset == "data"
    assert {row["dataset"] for row in record.metrics} == {"data"}
    assert record.origin == "trained"
    assert record.label_set == "imagenet"
    assert "--smoke" in record.training["command"]
    found = {(row["split"], row["metric"]): row["n"] for row in record.metrics}
    assert found == {
        ("train, held out", "accuracy"): 6,
        ("train, held out", "top_5_accuracy"): 6,
        ("validation", "accuracy"): 10,
        ("validation", "top_5_accuracy"): 10,
    }
    assert all(row["resolution"] == 224 for row in record.metrics)
    model = ku.from_preset(tmp_path / "run" / "preset")
    image = np.zeros((1, 300, 260, 3), "uint8")
    assert model.predict(image, verbose=0).shape == (1, 1000)
    assert model.labels == models.imagenet_labels()
    # Run again, it finds its work done.
    assert run(data_dir, tmp_path / "run", "--smoke", "--set", *SMALL, "holdout=6") == 0
    assert json.loads((tmp_path / "run" / "preset" / "record.json").read_text())["name"]


@pytest.mark.slow
def test_strong_recipe_runs_with_its_augmentation_and_growing_crops(data_dir, tmp_path):
    settings = [
        "--recipe",
        "strong",
        "--smoke",
        "--set",
        "network.width_multiplier=0.0625",
        "network.depth=18",
    ]
    settings += ["size=64", "start_size=32", "batch_size=24"]
    assert run(data_dir, tmp_path / "run", *settings) == 0
    record = ku.load_record(tmp_path / "run" / "preset")
    assert "--recipe strong --smoke" in record.training["command"]
    assert record.training["recipe"]["optimizer"] == "lamb"
    assert record.training["recipe"]["repeats"] == 3
    assert run(data_dir, tmp_path / "other", "--recipe", "weak", "--smoke") == 2


def test_bad_input_exits_with_code_2(data_dir, tmp_path, capsys):
    for arguments, message in (
        ([], "Expected 1,000 classes"),
        (["--smoke", "--set", "batch_size=64"], "a batch of at most 60"),
        (["--smoke", "--set", "color=1"], "unknown one: color"),
        (["--smoke", "--set", "milestones=3"], "milestones"),
    ):
        assert run(data_dir, tmp_path / "run", *arguments) == 2
        assert message in capsys.readouterr().err
    assert run(tmp_path / "nothing", tmp_path / "run", "--smoke") == 2
    assert "docs/training.md" in capsys.readouterr().err


@pytest.mark.slow
def test_broken_images_are_named(data_dir, tmp_path, capsys):
    victims = sorted((data_dir / "train").rglob("*.JPEG"))[3:5]
    for victim in victims:
        victim.write_bytes(b"\xff\xd8\xff\xe0 not a photograph any more")
    assert run(data_dir, tmp_path / "run", "--smoke", "--set", *SMALL) == 2
    error = capsys.readouterr().err
    assert "2 of 60 do not" in error
    assert all(str(victim) in error for victim in victims)
