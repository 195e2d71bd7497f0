"""Class numbers are taken however they are written, or refused with what is wrong with them."""

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.data import Examples, split_indices
from keras_unrolled.data.labels import read_labels
from keras_unrolled.data.memory import as_examples

IMAGES = np.zeros((4, 8, 8, 3), "uint8")


@pytest.mark.parametrize(
    "labels", [[0, 2, 1, 2], np.array([0, 2, 1, 2], "float32"), (0, 2.0, 1, 2)]
)
def test_whole_numbers_of_any_type_are_class_numbers(labels):
    found = read_labels(labels, 4)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2, 1, 2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1, 2, 0]], r"shape \(4, 3\)\. Pass labels\.argmax\(-1\) of one-hot labels"),
        (np.zeros((4, 1), int), r"shape \(4, 1\)\. Pass labels\[:, 0\]"),
        ([0, 1, -1, 0], "from -1 to 1. Number the classes from 0"),
        ([0, 1, 10**9, 0], "from 0 to 1,000,000,000"),
        ([True, False, True, True], r"True or False\. Pass labels\.astype\(int\)"),
        ([0.0, 0.5, 1.0, 1.0], "float64 that are not whole numbers"),
        ([0, np.nan, 1, 1], "not whole numbers"),
        ([0, np.inf, 1, 1], "not whole numbers"),
        (["cat", "dog", "cat", "dog"], "strings, such as 'cat'. Pass keras_unrolled.data.Examples"),
        (np.array(["cat"] * 4, object), "strings, such as 'cat'"),
        ([0, 1, 1], r"shape \(3,\). Pass one for each image"),
        (3, r"shape \(\)"),
        ([[0], [0, 1], [1], [1]], "a list that is no array"),
        (np.zeros(4, complex), "of type complex128"),
    ],
)
def test_other_labels_are_rejected_with_the_reason(labels, message):
    with pytest.raises(InputError, match=message) as error:
        as_examples((IMAGES, labels))
    assert ("argmax" in str(error.value)) == (message.endswith("one-hot labels"))


def test_number_of_classes_is_named_where_it_is_known():
    with pytest.raises(InputError, match=r"from 0 to 1 for each of 4 images.*from 0 to 2"):
        read_labels([0, 1, 2, 1], 4, 2)
    with pytest.raises(InputError, match=r"from 0 for each of 1 image\. "):
        read_labels([-1], 1)


def test_strings_are_used_as_the_message_says():
    names, numbers = np.unique(["dog", "cat", "dog", "cat"], return_inverse=True)
    examples, _ = as_examples(Examples(IMAGES, numbers, names, "mine"))
    assert examples.names == ("cat", "dog")
    assert examples.labels.tolist() == [1, 0, 1, 0]


def test_examples_take_lists():
    examples = Examples(IMAGES, [0, 1, 0, 1], ("a", "b"), "mine")
    assert examples.labels.dtype == np.int64
    kept, held = split_indices(examples, 0.5, 0)
    assert sorted(examples.labels[held]) == sorted(examples.labels[kept]) == [0, 1]
    examples, _ = as_examples(Examples(list(IMAGES), [0, 1, 0, 1], ["a", "b"], "mine"))
    np.testing.assert_array_equal(examples.images, IMAGES)
    with pytest.raises(InputError, match="no array"):
        Examples(IMAGES, [[0], [0, 1]], ("a", "b"), "mine")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES > 9, "as numbers. Received: bool"),
        (IMAGES[..., 0], r"Received the shape \(4, 8, 8\) \(uint8\)"),
        (IMAGES[0], r"the shape \(8, 8, 3\) \(uint8\). Of a single image pass images\[None\]"),
        (IMAGES[:0], "Received none"),
        (list(IMAGES[..., 0]), r"the shape \(4, 8, 8\)"),
        ([IMAGES, [0, 1, 0, 1]], "which is a tuple. Received: list"),
    ],
    ids=["bool", "gray", "one", "none", "list of gray", "list"],
)
def test_images_of_another_form_are_rejected_with_shape_and_type(images, message):
    with pytest.raises(InputError, match=message):
        as_examples(images)
