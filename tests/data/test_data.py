import re
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, data


def write(path, image=None, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((10, 12, 3), 200, "uint8") if image is None else image
    Image.fromarray(image).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    for name in ("dog", "cat"):
        for i in range(4):
            write(root / name / f"{i}.png")
    return root


def test_divided_folder_gives_the_part_that_is_asked_for(folder, tmp_path):
    for name in ("train", "val"):
        shutil.copytree(folder, tmp_path / "all" / name)
    next((tmp_path / "all/val").rglob("*.png")).unlink()
    whole = len(data.load(folder))
    assert len(data.load(tmp_path / "all")) == whole
    held = data.load(tmp_path / "all", split=["test", "validation"])
    assert len(held) == whole - 1
    assert held.split.endswith("val")


def test_data_directory_of_a_folder_is_rejected(folder):
    with pytest.raises(InputError, match="data_dir='x'"):
        data.load(folder, "x")


def test_cifar10_has_its_known_size_and_content(tfds_dir):
    test = data.load_cifar10(tfds_dir, "test")
    assert test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    held = data.load_cifar10(tfds_dir, "train[45000:]")
    assert len(held) == 5_000


def test_directory_without_cifar10_is_rejected_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="download_and_prepare"):
        data.load_cifar10(tmp_path, "test")


@pytest.mark.slow
def test_tfds_gives_the_images_of_any_part_of_a_split(tfds_dir):
    whole = data.load_cifar10(tfds_dir, "test")
    examples = data.load("cifar10:test[1000:1600]", tfds_dir)
    assert len(examples) == 600
    assert examples.names == whole.names
    np.testing.assert_array_equal(examples.labels, whole.labels[1000:1600])
    np.testing.assert_array_equal(np.stack(examples.images[50:90]), whole.images[1050:1090])
    part = examples.part("test", 590)
    assert len(part) == 10
    np.testing.assert_array_equal(np.stack(part.images[:]), whole.images[1590:1600])
    assert data.load("cifar10", tfds_dir, ["test", "train"]).split == "test"


def test_data_set_that_is_not_there_is_reported_with_what_to_do(tfds_dir, tmp_path):
    for source, place, message in (
        ("no_such_thing", None, "Found no folder or file at no_such_thing"),
        ("mnist", tmp_path, r"mnist.*download_and_prepare"),
        ("cifar10:validation", tfds_dir, "a split of cifar10: test, train|train, test"),
    ):
        with pytest.raises(InputError, match=message):
            data.load(source, place)


@pytest.mark.parametrize(
    ("split", "reason"),
    [
        ("train[:0%]", "no images"),
        ("train[99%:1%]", "no images"),
        ("train[:x]", "Unrecognized split format"),
        ("train[:60000]", "50000 examples"),
        ("train-test", "Unknown split"),
        ("train+test[:1]", "2 parts"),
    ],
    ids=["none", "reversed", "malformed", "beyond", "unknown", "two"],
)
def test_part_that_cannot_be_read_is_rejected_with_an_example(tfds_dir, split, reason):
    message = rf"Received: {re.escape(repr(split))} \(.*{reason}.*for instance train\[:10%\]"
    with pytest.raises(InputError, match=message):
        data.load(f"cifar10:{split}", tfds_dir)
    if reason != "2 parts":
        with pytest.raises(InputError, match=message):
            data.load_cifar10(tfds_dir, split)


@pytest.mark.parametrize(
    "read",
    [
        data.load,
        data.load_folder,
        lambda place: data.load_parts(place, 0.2, 0),
        lambda place: data.load("beans", place),
        lambda place: data.load_cifar10(place, "test"),
        lambda place: data.read_words(place, "test"),
    ],
    ids=["load", "load_folder", "load_parts", "load_tfds", "load_cifar10", "read_words"],
)
def test_empty_path_is_not_the_current_folder(folder, monkeypatch, read):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="'', which is empty"):
        read("")


@pytest.mark.slow
def test_chosen_images_of_tfds_are_those_of_their_numbers(tfds_dir):
    whole = data.load_cifar10(tfds_dir, "test[:60]")
    some = data.load("cifar10:test[:60]", tfds_dir).take([3, 50, 7, 20]).take([0, 2, 3])
    assert some.images.keys() == ["test/3", "test/7", "test/20"]
    np.testing.assert_array_equal(some.images[:], whole.images[[3, 7, 20]])
    np.testing.assert_array_equal(some.images.part(1, 3)[1:], whole.images[[20]])
    assert some.images[3:] == []
    np.testing.assert_array_equal(some.order.rows, whole.order.rows[[3, 7, 20]])
