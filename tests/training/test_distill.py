"""A student that learns what presets answer to its own augmented images."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.data.image_batches import ImageBatches
from training import cifar10, job
from training.answers import keep_answers
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
@pytest.mark.parametrize("kept", [False, True])
def test_smoke_run_is_recorded_with_its_teachers(kept, tmp_path, tfds_dir, few_images):
    settings = ["network.depth=8", 'teachers=["resnet_bn_cifar10","highway_bn_cifar10"]']
    settings += [] if kept else ["view_epochs=0"]
    arguments = ["--preset", "resnet_distilled_bn_cifar10", "--smoke", "--set", *settings]
    arguments += ["--data-dir", str(tfds_dir), "--workdir", str(tmp_path)]
    assert cifar10.main(arguments) == 0
    record = ku.load_record(tmp_path / "preset")
    assert (tmp_path / "answers/000.npy").is_file() == kept
    assert record.training["recipe"]["teachers"] == ["resnet_bn_cifar10", "highway_bn_cifar10"]
    assert record.origin == "trained"
    assert np.isfinite(record.score("cifar10"))


def make_batches(count=20, **options):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return ImageBatches(
        images, np.arange(count) % 10, batch_size=8, total_steps=40, seed=3, **options
    )


def test_views_come_again_after_a_period_with_the_answers_that_belong_to_them():
    answers = np.random.default_rng(1).random((4 * 8, 10)).astype("float32")
    new, kept = make_batches(), make_batches(period=4, answers=answers)
    expected = list(new(0).take(6))
    found = list(kept(0).take(6))
    for step, (images, targets) in enumerate(found):
        np.testing.assert_array_equal(images, expected[step % 4][0])
        np.testing.assert_array_equal(targets, answers[step % 4 * 8 :][:8])
    assert not np.array_equal(expected[4][0], expected[0][0])
    ((images, targets),) = kept(5, parts=2).skip(1).take(1)  # the second half of a batch
    np.testing.assert_array_equal(images, expected[1][0][4:])
    np.testing.assert_array_equal(targets, answers[8 + 4 : 8 + 8])


@pytest.mark.slow
def test_kept_answers_are_the_mean_of_the_teachers_to_the_views_of_the_stream(tmp_path):
    labels = ku.load_record("resnet_bn_cifar10").labels
    names = ["resnet_bn_cifar10", "plain_bn_cifar10"]
    teachers = "teachers=[" + ",".join(f'"{name}"' for name in names) + "]"
    settings = [teachers, "view_epochs=2", "batch_size=8", "precision=float32", "seed=3"]
    recipe = RECIPE.override(settings)
    models_ = [ku.from_preset(name) for name in names]
    batches = make_batches(preprocess=models_[0].preprocessor)
    found = keep_answers(tmp_path, recipe, batches, labels)
    assert found.shape == (2 * 2 * 8, 10)  # two epochs of two batches: four examples are left out
    for step, (images, _) in enumerate(batches(0).take(4)):
        scores = [np.asarray(model(images), "float64") for model in models_]
        softmax = [np.exp(s) / np.exp(s).sum(-1, keepdims=True) for s in scores]
        np.testing.assert_allclose(found[step * 8 :][:8], np.mean(softmax, 0), atol=1e-5)
    # An interrupted computation goes on, and nothing is computed twice.
    (tmp_path / "001.npy").unlink()
    np.save(tmp_path / "000.npy", found[:16] + 1)
    again = keep_answers(tmp_path, recipe, batches, labels)
    np.testing.assert_allclose(again, np.concatenate([found[:16] + 1, found[16:]]), atol=1e-6)
    fewer = recipe.override(["epochs=1", "warmup_epochs=0", "view_epochs=5"])
    assert len(keep_answers(tmp_path, fewer, batches, labels)) == 16
    with pytest.raises(InputError, match="seed was 3 and is now 4"):
        keep_answers(tmp_path, recipe.override(["seed=4"]), batches, labels)


def test_views_of_more_epochs_than_a_run_has_are_those_of_the_run():
    recipe = RECIPE.override(["epochs=2", "warmup_epochs=0"])
    assert recipe.view_epochs > recipe.epochs
    assert "view_epochs" in recipe.applicable()
    assert "view_epochs" not in recipe.override(["teachers=[]"]).applicable()
