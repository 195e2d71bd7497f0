"""The program that makes ImageNet presets, on a handful of real photographs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from training import finish, imagenet

SMALL = [
    "size=32",
    "network.width_multiplier=0.0625",
    "network.depth=18",
    "epochs=1",
    "milestones=[]",
]


CLASSIC = imagenet.RECIPES["classic"]


def test_every_imagenet_preset_has_recipes_that_open_with_their_commands():
    names = {record.name for record in ku.list_presets(dataset="imagenet")}
    assert list(imagenet.RECIPES) == ["classic", "short", "strong"]
    for kind, recipes in imagenet.RECIPES.items():
        assert names == recipes.keys()
        for name, recipe in recipes.items():
            command, hardware, *_ = recipe.text.splitlines()
            flag = "" if kind == "classic" else f" --recipe {kind}"
            assert command == (
                f"python training/imagenet.py --preset {name}{flag} --data-dir DIR --workdir DIR"
            )
            assert "an estimate from the MACs" in hardware
            assert "Expected: " in recipe.text
            if kind == "classic":
                record = ku.load_record(name)
                assert record.training.get("command", command) == command


def test_the_short_recipe_costs_what_ffcv_says():
    recipe = imagenet.RECIPES["short"]["resnet_bn_imagenet"].override(["epochs=88"])
    macs = ku.load_record("resnet_bn_imagenet").macs
    minutes = imagenet.flops(recipe, macs) / imagenet.SUSTAINED / 8 / 60
    assert abs(minutes - 77.2) < 1


@pytest.mark.parametrize("name", ["resnet_bn_imagenet", "highway_bn_imagenet"])
def test_the_guide_tells_the_hours_that_the_recipes_give(name):
    guide = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    macs = ku.load_record(name).macs
    for kind, recipes in imagenet.RECIPES.items():
        work = imagenet.flops(recipes[name], macs)
        hours = [work / rate / 3600 for rate in imagenet.HARDWARE.values()]
        row = f"| {kind}, {recipes[name].epochs} epochs | {name.split('_')[0]} | "
        assert row + " | ".join(f"{h:.1f}" for h in hours) + " |" in guide


@pytest.mark.parametrize("name", sorted(CLASSIC))
def test_a_recipe_builds_the_network_of_its_record(name):
    model = finish.build(CLASSIC[name])
    record = ku.load_record(name)
    config = model.backbone.get_config()
    assert {key: config[key] for key in record.network} == {
        key: tuple(value) if isinstance(config[key], tuple) else value
        for key, value in record.network.items()
    }
    assert model.num_classes == 1000


@pytest.fixture
def data_dir(photographs, tmp_path):
    """Sixty photographs as class folders: train, and a few of them as val."""
    for i, path in enumerate(photographs[:60]):
        place = tmp_path / "data" / "train" / path.parent.name
        place.mkdir(parents=True)
        shutil.copy(path, place)
        if i % 6 == 0:
            shutil.copytree(place, tmp_path / "data" / "val" / path.parent.name)
    return tmp_path / "data"


def run(data_dir, workdir, *arguments):
    command = ["--preset", "highway_bn_imagenet", "--data-dir", str(data_dir)]
    return imagenet.main([*command, "--workdir", str(workdir), *arguments])


def test_a_smoke_run_makes_a_preset_from_folders(data_dir, tmp_path, capsys):
    assert run(data_dir, tmp_path / "run", "--smoke", "--set", *SMALL, "holdout=6") == 0
    record = ku.load_record(tmp_path / "run" / "preset")
    assert record.name == "highway_bn_imagenet"
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


def test_the_strong_recipe_runs_with_all_its_augmentation_and_growing_crops(data_dir, tmp_path):
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


def test_bad_input_is_told_with_code_2(data_dir, tmp_path, capsys):
    for arguments, message in (
        ([], "Expected 1,000 classes"),
        (["--smoke", "--set", "batch_size=64"], "a batch of at most 60"),
        (["--smoke", "--set", "colour=1"], "unknown one: colour"),
        (["--smoke", "--set", "milestones=3"], "milestones"),
    ):
        assert run(data_dir, tmp_path / "run", *arguments) == 2
        assert message in capsys.readouterr().err
    assert run(tmp_path / "nothing", tmp_path / "run", "--smoke") == 2
    assert "docs/training.md" in capsys.readouterr().err


def test_a_broken_image_is_named(data_dir, tmp_path, capsys):
    victims = sorted((data_dir / "train").rglob("*.JPEG"))[3:5]
    for victim in victims:
        victim.write_bytes(b"\xff\xd8\xff\xe0 not a photograph any more")
    assert run(data_dir, tmp_path / "run", "--smoke", "--set", *SMALL) == 2
    error = capsys.readouterr().err
    assert "2 of 60 do not" in error
    assert all(str(victim) in error for victim in victims)
