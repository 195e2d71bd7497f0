"""A student that learns what presets answer to its own augmented images."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from training import cifar10, job
from training.recipes.cifar10 import CLASSIC, DISTILLED

RECIPE = DISTILLED["resnet_distilled_bn_cifar10"]


def test_students_are_the_networks_of_their_names_and_the_teachers_those_of_20_layers():
    for name, recipe in DISTILLED.items():
        assert recipe.network == CLASSIC[name.replace("_distilled", "")].network
        assert len(recipe.teachers) == 9
        assert all(CLASSIC[teacher].network["depth"] == 20 for teacher in recipe.teachers)
    assert RECIPE.applicable()["teachers"] == list(RECIPE.teachers)
    assert "teachers" not in CLASSIC["resnet_bn_cifar10"].applicable()


def test_teachers_must_read_what_the_student_reads(tmp_path):
    labels = ku.load_record("resnet_bn_cifar10").labels
    student = models.resnet(8, dataset="cifar", labels=labels)
    recipe = RECIPE.override(['teachers=["resnet_bn_cifar10"]'])
    (teacher,) = job.load_teachers(recipe, student)
    assert teacher.backbone.normalization == "folded"
    other = models.resnet(8, dataset="cifar", labels=labels, preprocessor=None)
    other.preprocessor = models.make_preprocessor("imagenet")
    ku.save_preset(other, tmp_path / "other")
    for teacher, message in (
        (tmp_path / "other", "the student's preprocessor"),
        ("highway_bn_imagenet_of_nobody", "Expected the name of a preset"),
    ):
        wrong = RECIPE.override([f'teachers=["{teacher}"]'])
        with pytest.raises(InputError, match=message):
            job.load_teachers(wrong, student)
    with pytest.raises(InputError, match="Expected `teachers`"):
        RECIPE.override(["teachers=resnet_bn_cifar10"])


@pytest.mark.slow
def test_smoke_run_is_recorded_with_its_teachers(tmp_path, tfds_dir, few_images):
    settings = ["network.depth=8", 'teachers=["resnet_bn_cifar10","highway_bn_cifar10"]']
    arguments = ["--preset", "resnet_distilled_bn_cifar10", "--smoke", "--set", *settings]
    arguments += ["--data-dir", str(tfds_dir), "--workdir", str(tmp_path)]
    assert cifar10.main(arguments) == 0
    record = ku.load_record(tmp_path / "preset")
    assert record.training["recipe"]["teachers"] == ["resnet_bn_cifar10", "highway_bn_cifar10"]
    assert record.origin == "trained"
    assert np.isfinite(record.score("cifar10"))
