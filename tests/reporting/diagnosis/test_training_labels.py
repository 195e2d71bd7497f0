"""Wrong labels planted among the images of a fine-tuning, and how many are found out of fold."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import data
from keras_unrolled.reporting.diagnosis.training_labels import check_training_labels
from tests.reporting.nets import make_examples, make_model

PICTURES, WRONG, SHOWN = 300, 10, 20


def plant(seed):
    """300 pictures of the sample, and the numbers of ten whose labels were changed."""
    sample, rng = data.load_sample(), np.random.default_rng(seed)
    some = sample.take(rng.permutation(len(sample))[:PICTURES])
    wrong = rng.choice(PICTURES, WRONG, replace=False)
    labels = some.labels.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, WRONG)) % 10
    return data.Examples(some.images, labels, some.names, "planted"), set(wrong.tolist())


@pytest.mark.slow
def test_planted_wrong_labels_are_among_the_first():
    examples, wrong = plant(0)
    train = [i for i in range(PICTURES) if i % 5]
    found = check_training_labels("highway_bn_cifar10", examples, train, "planted")
    assert (len(found.examples), found.total, found.problem) == (240, 240, "")
    first = {int(found.pictures[row["number"]]) for row in found.suspects[:SHOWN]}
    planted = wrong & set(train)
    assert len(planted) >= 6
    assert len(planted & first) >= len(planted) - 1
    assert found.accuracy > 0.75
    assert found.origin == ""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "small"
    ku.save_preset(make_model(blocks=(1, 1)), folder)
    return folder


@pytest.mark.slow
def test_pictures_are_named_by_their_number_in_the_data(base):
    examples = make_examples(80)
    train = list(range(3, 80, 2))
    found = check_training_labels(base, examples, train, "made up")
    assert found.pictures == [str(i) for i in train]
    np.testing.assert_array_equal(found.examples.images, examples.images[train])
    assert 0 <= found.accuracy <= 1


@pytest.mark.parametrize(
    ("counts", "message"),
    [([20, 4, 9, 0], "Classes with fewer: dog"), ([20, 0, 0, 0], "of one class")],
)
def test_too_few_images_leave_the_part_out_with_a_sentence(counts, message):
    labels = np.repeat(range(4), counts)
    images, names = np.zeros((len(labels), 8, 8, 3), "uint8"), ("cat", "dog", "frog", "ship")
    examples = data.Examples(images, labels, names, "few")
    found = check_training_labels("nothing is loaded", examples, list(range(len(labels))), "few")
    assert message in found.problem
    assert (found.suspects, found.accuracy) == ([], None)
