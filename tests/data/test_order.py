"""Where examples are in the data set as it was published."""

import numpy as np
import pytest

from keras_unrolled import InputError, data
from keras_unrolled.data.order import number_examples, read_order


def test_ids_give_the_published_order():
    order = read_order([b"test_00007", "test_2"], 10, ("a", "b"))
    np.testing.assert_array_equal(order.rows, [7, 2])
    assert order.total == 10


@pytest.mark.parametrize(
    "ids",
    [[], ["7"], ["test_7", "train_2"], ["test_10"], ["test_1", "test_1"]],
    ids=["none", "no part", "two parts", "beyond", "twice"],
)
def test_other_ids_do_not(ids):
    with pytest.raises(InputError, match="in the published order, as a folder or an array"):
        read_order(ids, 10, ("a", "b")).check_rows("answers", "x.npy", 10)


def test_order_follows_the_examples_that_are_taken():
    examples = data.Examples(np.zeros((4, 2, 2, 3), "uint8"), [0, 1, 0, 1], ("a", "b"), "made up")
    np.testing.assert_array_equal(examples.take([3, 1]).order.rows, [3, 1])
    np.testing.assert_array_equal(examples.part("train", 2).order.rows, [2, 3])


def test_classes_that_are_named_by_numbers_are_in_their_order():
    order = number_examples(3, ("1", "10", "2"))
    assert order.names == ("1", "2", "10")
    np.testing.assert_array_equal(order.classes, [0, 2, 1])


def test_ids_of_cifar10_are_those_of_the_original_files(tfds_dir):
    examples = data.load_cifar10(tfds_dir, "test")
    assert sorted(examples.order.rows) == list(range(10_000))
    # The first labels of the original test_batch: cat, ship, ship, airplane, frog, frog, automobile.
    first = np.argsort(examples.order.rows)[:7]
    assert examples.labels[first].tolist() == [3, 8, 8, 0, 6, 6, 1]
