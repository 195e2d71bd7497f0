"""`decode` gives names for the scores of its own network only."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, models


@pytest.fixture(scope="module")
def model():
    return models.resnet(8, dataset="cifar", num_classes=3, labels=["cat", "dog", "frog"])


SCORES = np.log([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist, keras.ops.convert_to_tensor])
def test_scores_may_be_arrays_lists_or_tensors(model, make):
    first, second = model.decode(make(SCORES), top=np.int64(2))
    assert [label for label, _ in first] == ["dog", "cat"]
    np.testing.assert_allclose([p for _, p in second], [0.5, 0.25], atol=1e-6)


def test_class_that_is_left_out_has_no_probability(model):
    ((best, *_, last),) = model.decode([[0.0, -np.inf, 1.0]])
    assert (best[0], *last) == ("frog", "dog", 0.0)
    assert model.decode(np.zeros((0, 3))) == []


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((2, 4)), r"\(images, 3\).* shape \(2, 4\)"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.zeros(3), r"scores\[None\]"),
        (np.zeros((1, 2, 3)), r"shape \(1, 2, 3\)"),
        (1.5, r"shape \(\)"),
        ([[1.0, 2.0, 3.0], [1.0, 2.0]], "no array of real numbers"),
        ([["a", "b", "c"]], "no array of real numbers"),
        (np.zeros((1, 3), complex), "no array of real numbers"),
        (None, "Received None"),
        ([[0.0, 1.0, 2.0], [0.0, np.nan, 1.0]], "1 of 2 images, the first at index 1"),
        ([[0.0, np.inf, 1.0]], "NaN or infinity"),
        ([[-np.inf] * 3], "NaN or infinity"),
    ],
    ids=str,
)
def test_scores_of_another_kind_are_rejected(model, scores, message):
    with pytest.raises(InputError, match=message):
        model.decode(scores)


@pytest.mark.parametrize("top", [0, -1, 1.5, True, None, "two"])
def test_impossible_number_of_classes_to_name_is_rejected(model, top):
    with pytest.raises(InputError, match="Expected `top`"):
        model.decode(SCORES, top=top)
