from types import SimpleNamespace

import pytest

from keras_unrolled.models.weight_hash import hash_weights
from keras_unrolled.reporting.diagnosis.origin import find_in_sample
from tests.reporting.nets import make_model


@pytest.fixture(scope="module")
def model():
    return make_model()


def with_record(model, training, dataset=None, metrics=()):
    """The model as if loaded from a preset with such a record."""
    record = SimpleNamespace(training=training, dataset=dataset, metrics=metrics)
    model.provenance = SimpleNamespace(record=record, digest=hash_weights(model))
    return model


@pytest.mark.parametrize(
    ("dataset", "split", "expected"),
    [
        ("cifar10", "test[:100]", "no"),
        ("cifar10", "sample of test", "no"),
        ("cifar10", "train[45000:]", "yes"),
        ("cifar10:train[:5%]", "train[:5%]", "yes"),
        ("cifar10", "train+test", "yes"),
        ("cifar100", "train", "unknown"),
        ("pictures/", "pictures/", "unknown"),
    ],
)
def test_part_that_was_trained_on_is_in_sample(model, dataset, split, expected):
    model = with_record(model, {"dataset": "cifar10", "split": "train"})
    state, sentence = find_in_sample(model, dataset, split)
    assert state == expected
    assert ("in-sample" in sentence) == (expected != "no")


def test_folder_that_was_fine_tuned_on_is_in_sample(model, tmp_path):
    training, metrics = {"data": "20 images", "base": "x"}, ({"dataset": "pictures"},)
    model = with_record(model, training, "cifar10", metrics)
    assert find_in_sample(model, str(tmp_path / "pictures"), "x")[0] == "yes"
    assert find_in_sample(model, str(tmp_path / "others"), "x")[0] == "unknown"
    assert find_in_sample(model, "cifar10", "test")[0] == "unknown"


def test_weights_that_have_changed_have_no_known_origin():
    model = with_record(make_model(), {"dataset": "cifar10", "split": "train"})
    model.output_dense.bias.assign(model.output_dense.bias + 1)
    assert find_in_sample(model, "cifar10", "test")[0] == "unknown"
    assert find_in_sample(make_model(), "cifar10", "test")[0] == "unknown"
