"""The recipe that starts from a regated network, whose gates then learn."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from tests.nets import randomize
from training import cifar10, imagenet, job, recipes
from training.recipes.cifar10 import ADAPTED

COUPLED = ADAPTED["highway_adapted_bn_cifar10"]


def blocks_of(model):
    return [block for stage in model.backbone.stages for block in stage]


@pytest.mark.slow
def test_network_computes_what_the_preset_that_it_starts_from_does(rng):
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    expected = ku.from_preset("resnet_bn_cifar10").predict(images, verbose=0)
    for recipe in ADAPTED.values():
        model = job.build(recipe, labels=ku.load_record("resnet_bn_cifar10").labels)
        assert model.backbone.gating == recipe.network["gating"]
        np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-3)


def test_gates_alone_learn_at_another_rate():
    model = job.build(COUPLED)
    factors = job.make_gate_factors(COUPLED)(model)
    fast = [v.path for v, f in zip(model.trainable_variables, factors) if f == COUPLED.gate_rate]
    assert fast == [v.path for v in model.trainable_variables if "transform_gate" in v.path]
    assert len(fast) == 9 * 6  # two convolutions and normalizations in each
    assert set(factors) == {1.0, COUPLED.gate_rate}
    assert job.make_gate_factors(COUPLED.override(["gate_rate=1"])) is None


def test_command_is_that_of_the_recipe_which_has_the_name():
    assert recipes.command("highway_adapted_bn_cifar10") == (
        "python training/cifar10.py --preset highway_adapted_bn_cifar10 --data-dir DIR --workdir DIR"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "options", "message"),
    [
        ("highway_bn_cifar10", ["--recipe", "adapt"], "highway_adapted_bn_cifar10"),
        ("highway_adapted_bn_cifar10", ["--recipe", "classic"], "Expected `--preset`"),
        ("highway_adapted_bn_cifar10", ["--init", "resnet_bn_cifar"], "resnet_bn_cifar10"),
    ],
    ids=["adapt", "classic", "init"],
)
def test_name_that_does_not_go_with_the_recipe_is_rejected(
    preset, options, message, tmp_path, tfds_dir, capsys
):
    arguments = ["--preset", preset, "--data-dir", str(tfds_dir), "--workdir", str(tmp_path / "x")]
    assert cifar10.main([*arguments, *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_preset_of_other_classes_is_rejected(tmp_path, tfds_dir, capsys):
    model = models.resnet(8, dataset="cifar", labels=[f"class {i}" for i in range(10)])
    ku.save_preset(model, tmp_path / "other")
    arguments = ["--preset", "highway_adapted_bn_cifar10", "--init", str(tmp_path / "other")]
    arguments += ["--data-dir", str(tfds_dir), "--workdir", str(tmp_path / "work"), "--smoke"]
    assert cifar10.main(arguments) == 2
    assert "keras-unrolled finetune" in capsys.readouterr().err


@pytest.mark.slow
def test_gates_depend_on_their_input_afterwards(tmp_path, tfds_dir, few_images):
    arguments = ["--preset", "highway_adapted_bn_cifar10", "--smoke", "--workdir", str(tmp_path)]
    assert cifar10.main([*arguments, "--data-dir", str(tfds_dir)]) == 0
    record = ku.load_record(tmp_path / "preset")
    assert record.origin == "trained"
    assert record.source["name"] == "resnet_bn_cifar10"
    assert record.training["recipe"]["init"] == "resnet_bn_cifar10"
    assert record.score("cifar10") > 0.85
    gates = [block.transform_gate for block in blocks_of(ku.from_preset(tmp_path / "preset"))]
    assert not any(gate.is_constant() for gate in gates)


@pytest.mark.slow
def test_imagenet_starts_from_a_folder_and_does_not_record_its_place(data_dir, tmp_path):
    labels = models.imagenet_labels()
    model = models.resnet(18, dataset="imagenet", width_multiplier=0.25, labels=labels)
    randomize(model)
    ku.save_preset(model, tmp_path / "random")
    arguments = ["--preset", "highway_adapted_bn_imagenet", "--smoke", "--data-dir", str(data_dir)]
    arguments += ["--init", str(tmp_path / "random"), "--workdir", str(tmp_path / "work")]
    assert imagenet.main(arguments) == 0
    record = ku.load_record(tmp_path / "work" / "preset")
    assert record.network["gating"] == "coupled"
    assert record.training["recipe"]["init"] == "random"
    assert "--init FOLDER" in record.training["command"]
    assert str(tmp_path) not in (tmp_path / "work" / "preset" / "record.json").read_text()
