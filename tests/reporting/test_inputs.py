import shutil

import numpy as np
import pytest

from keras_unrolled import InputError, data
from keras_unrolled.data.loading import choose
from keras_unrolled.reporting.inputs import load_inputs
from tests.data.pictures import fill, write_image
from tests.reporting.nets import LABELS, make_examples, make_model, write_pictures


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def folder(tmp_path):
    """Three pictures of each class in class folders."""
    return fill(tmp_path / "pictures", LABELS, count=3)


def test_images_in_random_order_are_taken_from_the_start():
    examples = make_examples(40)
    part = choose(examples, 10)
    np.testing.assert_array_equal(part.images, examples.images[:10])
    assert part.split == "made up[:10]"
    assert choose(examples, 40) is examples


def test_images_in_the_order_of_classes_are_drawn_over_all_of_them():
    labels = np.repeat(np.arange(4), [30, 30, 60, 30])
    images = np.arange(150, dtype="uint8")[:, None, None, None] * np.ones((1, 8, 8, 3), "uint8")
    examples = data.Examples(images, labels, tuple(LABELS), "all")
    part = choose(examples, 50)
    assert np.bincount(part.labels).tolist() == [10, 10, 20, 10]
    np.testing.assert_array_equal(labels[part.images[:, 0, 0, 0]], part.labels)
    assert part.split == "all, 50 of 150 drawn with seed 0"
    np.testing.assert_array_equal(choose(examples, 50).images, part.images)
    assert not np.array_equal(choose(examples, 50, seed=1).images, part.images)
    assert len(set(part.images[:, 0, 0, 0].tolist())) == 50


def test_folder_of_class_folders_has_labels(model, folder):
    found = load_inputs(model, folder, limit=8, recalibrate=5)
    assert len(found) == 8
    assert np.bincount(found.labels).tolist() == [2, 2, 2, 2]
    assert found.split.endswith("8 of 12 drawn with seed 0")
    assert len(found.calibration) == 5
    assert "no training part" in found.calibrated_on


def test_folder_of_pictures_has_no_labels(model, tmp_path):
    place = write_pictures(tmp_path / "flat", 7)
    (place / ".hidden.png").write_bytes(b"")
    (place / "notes.txt").write_text("x")
    found = load_inputs(model, None, data_dir=place, limit=5)
    assert (len(found), found.labels) == (5, None)
    assert found.dataset == str(place)
    assert any("no labels" in note for note in found.notes)
    assert load_inputs(model, place, recalibrate=0).calibration is None
    with pytest.raises(InputError, match="Expected a data directory for a data set of TFDS only"):
        load_inputs(model, place, data_dir=tmp_path)


def test_pictures_next_to_class_folders_are_left_out_with_a_note(model, folder):
    write_image(folder / "more.png")
    found = load_inputs(model, folder)
    assert len(found) == 12
    assert found.notes[0] == f"left out 1 image in {folder} itself, in no class folder"


def test_divided_folder_is_recalibrated_on_its_training_part(model, tmp_path):
    for name, count in (("train", 4), ("test", 2)):
        fill(tmp_path / name, LABELS, count=count)
    found = load_inputs(model, tmp_path, recalibrate=6, probes=10)
    assert len(found) == 8
    assert len(found.calibration) == 6
    assert {path.parent.parent.name for path in found.calibration.paths} == {"train"}
    assert found.calibrated_on.startswith("6 training images")
    assert len(found.train) == 10
    assert found.train.names == tuple(LABELS)


def test_probes_need_a_training_part(model, folder):
    with pytest.raises(InputError, match="Expected data with a training part"):
        load_inputs(model, folder, probes=5)


@pytest.mark.slow
def test_cifar10_is_found_in_tfds_directory_by_the_name_of_the_preset(tfds_dir):
    model = make_model()
    model.labels = list(data.load_sample().names)  # whatever the network makes of them
    found = load_inputs(model, data_dir=tfds_dir, known_as="cifar10", limit=30, recalibrate=20)
    assert (found.dataset, found.split, len(found)) == ("cifar10", "test[:30]", 30)
    assert found.calibrated_on == "20 training images (train[:20])"
    np.testing.assert_array_equal(
        found.calibration, data.load_cifar10(tfds_dir, "train[:20]").images
    )


def test_other_classes_than_those_of_the_sample_are_rejected():
    other = make_model()
    other.labels = ["a", "b", "c", "d"]
    with pytest.raises(InputError, match="The bundled sample has those of CIFAR-10"):
        load_inputs(other)


def test_broken_pictures_are_named_or_left_out(model, tmp_path):
    place = write_pictures(tmp_path / "flat", 4)
    (place / "00.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="1 of 4 do not"):
        load_inputs(model, place)
    found = load_inputs(model, place, skip_broken=True)
    assert len(found) == 3
    assert any("do not decode" in note for note in found.notes)


def test_folder_without_pictures_is_rejected(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="Found no image in it"):
        load_inputs(model, data_dir=tmp_path / "empty")
    shutil.rmtree(tmp_path / "empty")
    with pytest.raises(InputError, match="Expected"):
        load_inputs(model, data_dir=tmp_path / "empty")


def test_more_training_images_than_cifar10_has_are_not_requested(model, monkeypatch):
    requested = []

    def load(data_dir, split):
        requested.append(split)
        return make_examples(20)

    monkeypatch.setattr(data, "load_cifar10", load)
    load_inputs(model, "cifar10", data_dir="DIR", recalibrate=60_000)
    assert requested == ["test", "train[:50000]"]
