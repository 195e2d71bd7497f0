"""Labeled images: how they are divided, and how labels are matched."""

import numpy as np
import pytest

from keras_unrolled import InputError, data, models
from tests.data.pictures import fill, write_image


def test_split_holds_out_a_part_of_every_class():
    labels = np.repeat([0, 1, 2], [10, 20, 2])
    examples = data.Examples(
        np.arange(96, dtype="uint8").reshape(32, 1, 1, 3), labels, ("a", "b", "c"), "x"
    )
    kept, held = data.split_indices(examples, 0.2, seed=1)
    assert sorted(kept + held) == list(range(32))
    assert np.bincount(labels[held]).tolist() == [2, 4, 1]
    assert data.split_indices(examples, 0.2, seed=1) == (kept, held)
    assert data.split_indices(examples, 0.2, seed=2) != (kept, held)


def test_class_of_one_image_cannot_be_split():
    examples = data.Examples(np.zeros((3, 1, 1, 3), "uint8"), np.array([0, 0, 1]), ("a", "b"), "x")
    with pytest.raises(InputError, match="1 of 'b'"):
        data.split_indices(examples, 0.2, seed=1)


def test_parts_are_named_as_tfds_names_them():
    examples = data.Examples(np.zeros((10, 1, 1, 3)), np.arange(10), ("a",), "train")
    assert examples.part("train", 0, -3).split == "train[:7]"
    assert examples.part("train", -3).split == "train[7:]"
    assert examples.part("train", -3).labels.tolist() == [7, 8, 9]
    assert examples.part("train", 0).split == "train"
    assert examples.part("test", 2, 4).split == "test[2:4]"


def test_labels_are_aligned_with_the_networks():
    examples = data.Examples(np.zeros((3, 1, 1, 3)), np.array([0, 1, 1]), ("b", "a"), "x")
    assert data.align(examples, ["a", "b", "c"]).labels.tolist() == [1, 0, 0]
    with pytest.raises(InputError, match=r"others in\s+the data: b"):
        data.align(examples, ["a", "c"])


def test_split_does_not_depend_on_the_order_or_place_of_the_images(tmp_path):
    fill(tmp_path / "a", count=20)
    fill(tmp_path / "b", count=20)

    def held(folder):
        examples = data.load_folder(folder)
        return {examples.keys()[i] for i in data.split_indices(examples, 0.3, seed=4)[1]}

    first = held(tmp_path / "a")
    assert held(tmp_path / "b") == first
    write_image(tmp_path / "a" / "cat" / "00.png")  # before all others in the alphabet
    assert len(held(tmp_path / "a") ^ first) <= 2
    images = np.arange(20 * 12, dtype="uint8").reshape(20, 2, 2, 3)
    rows = data.Examples(images, np.zeros(20, int), ("a",), "x")
    mixed = np.random.default_rng(0).permutation(20)
    one, other = (data.split_indices(e, 0.3, seed=1)[1] for e in (rows, rows.take(mixed)))
    assert set(one) == set(mixed[other])


def test_class_numbers_stand_for_the_networks_classes():
    examples = data.Examples(np.zeros((3, 1, 1, 3)), np.array([0, 1, 1]), ("0", "2"), "x")
    aligned = data.align(examples, ["a", "b", "c"])
    assert aligned.labels.tolist() == [0, 2, 2]
    assert "numbers of the network's classes" in aligned.notes[0]
    with pytest.raises(InputError, match="others in the data: 0, 2"):
        data.align(examples, ["a", "b"])
    assert data.align(examples, ["2", "0"]).labels.tolist() == [1, 0, 0]


def test_composed_and_decomposed_labels_match():
    examples = data.Examples(np.zeros((2, 1, 1, 3)), np.array([0, 1]), ("caf\u00e9", "b"), "x")
    assert data.align(examples, ["b", "cafe\u0301"]).labels.tolist() == [1, 0]


def test_classes_of_a_network_without_names_are_numbers():
    names = tuple(sorted(map(str, range(12))))  # "10" before "2"
    examples = data.Examples(np.zeros((12, 1, 1, 3)), np.arange(12), names, "x")
    aligned = data.align(examples, None, count=12)
    assert aligned.labels.tolist() == [int(name) for name in names]
    assert aligned.names == tuple(map(str, range(12)))
    words = data.Examples(np.zeros((2, 1, 1, 3)), np.arange(2), ("a", "b"), "x")
    aligned = data.align(words, None, count=2)
    assert aligned.labels.tolist() == [0, 1]
    assert "taken in their order: a, b" in aligned.notes[0]
    with pytest.raises(InputError, match="Expected 3 classes, or class numbers from 0"):
        data.align(words, None, count=3)
    with pytest.raises(InputError, match="Expected 3 classes, or class numbers from 0"):
        data.align(examples, None, count=3)


def make_classes(names):
    """One example of each of some classes in the order of a folder."""
    names = tuple(sorted(names))
    return data.Examples(np.zeros((len(names), 1, 1, 3)), np.arange(len(names)), names, "x")


@pytest.mark.parametrize("pattern", ["class {}", "{}.0", "v2_{}", "{:02}x"])
def test_classes_that_differ_in_a_number_are_in_its_order(pattern):
    examples = make_classes(pattern.format(i) for i in range(12))
    aligned = data.align(examples, None, count=12)
    assert aligned.names == tuple(pattern.format(i) for i in range(12))
    assert [aligned.names[i] for i in aligned.labels] == list(examples.names)
    assert f"in their order: {pattern.format(0)}, {pattern.format(1)}, " in aligned.notes[0]


def test_numbers_from_one_are_the_classes_of_a_network_without_names():
    examples = make_classes(map(str, range(1, 11)))
    aligned = data.align(examples, None, count=10)
    assert aligned.labels.tolist() == [int(name) - 1 for name in examples.names]
    assert aligned.names == tuple(map(str, range(1, 11)))
    assert aligned.notes[0].endswith("taken as numbers of its classes, from 1")


@pytest.mark.parametrize("numbers", [range(1, 10), range(1, 11), (3, 10), (1, 2)])
def test_numbers_that_may_be_counted_from_one_are_rejected(numbers):
    examples = make_classes(map(str, numbers))
    message = f"the numbers {numbers[0]} to {numbers[-1]} without 0.* Number the classes from 0"
    with pytest.raises(InputError, match=message):
        data.align(examples, list("abcdefghij"))
    if len(numbers) < 10:
        with pytest.raises(InputError, match=message):
            data.align(examples, None, count=10)


def test_numbers_that_are_counted_from_zero_may_leave_some_out():
    for numbers in [(0, 9), (1, 3), (2, 3), (5,)]:
        examples = make_classes(map(str, numbers))
        assert data.align(examples, list("abcdefghij")).labels.tolist() == list(numbers)
        assert data.align(examples, None, count=10).labels.tolist() == list(numbers)


def test_name_of_two_classes_is_rejected():
    examples = data.Examples(np.zeros((2, 1, 1, 3)), np.arange(2), ("crane", "tench"), "x")
    with pytest.raises(InputError, match="Found crane, which several are"):
        data.align(examples, models.imagenet_labels())
    numbers = data.Examples(np.zeros((2, 1, 1, 3)), np.arange(2), ("134", "517"), "x")
    assert data.align(numbers, models.imagenet_labels()).labels.tolist() == [134, 517]
