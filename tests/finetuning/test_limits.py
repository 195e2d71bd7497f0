"""What limits a result: each sentence follows from its figure."""

import numpy as np
import pytest

from keras_unrolled.finetuning import limits
from keras_unrolled.finetuning.options import Options


@pytest.mark.parametrize(
    ("size", "picture", "words"),
    [
        (32, 256, ["32 x 32", "about 256", "ImageNet preset"]),
        (224, 600, ["224 x 224", "about 600", "details"]),
        (224, 32, ["about 32 pixels", "enlarged to 224", "networks of 32"]),
        (32, 12, ["about 12 pixels", "enlarged to 32"]),
    ],
)
def test_pictures_of_another_size_than_the_network_are_named(size, picture, words):
    (text,) = limits.describe_size(size, picture)
    assert all(word in text for word in words)


@pytest.mark.parametrize(("size", "picture"), [(None, 256), (32, 64), (224, 112), (32, 16)])
def test_pictures_of_about_the_size_of_the_network_are_no_limit(size, picture):
    assert limits.describe_size(size, picture) == []


def test_classes_with_few_images_are_named_with_their_numbers():
    counts = np.array([40, 5, 100, 19, 20])
    (text,) = limits.describe_counts(counts, ["a", "b", "c", "d", "e"])
    assert "b (5), d (19);" in text
    assert "median of the classes is 20" in text
    assert limits.describe_counts(np.array([20, 30]), ["a", "b"]) == []
    (text,) = limits.describe_counts(np.arange(8), list("abcdefgh"))
    assert "e (4) and 3 more;" in text


@pytest.mark.parametrize(
    ("train", "held", "options", "start"),
    [
        (0.95, 0.7, {}, "It overfits: 95.0% of the training images are right, and 70.0%"),
        (0.6, 0.55, {}, "It underfits: only 60.0% of the training images"),
        (0.6, 0.55, {"head_only": True}, "It underfits"),
        (0.95, 0.9, {}, None),
        (0.3, 0.9, {"mixup": 0.2}, None),  # of mixed images the accuracy shows nothing
    ],
)
def test_fit_is_judged_by_both_accuracies(train, held, options, start):
    texts = limits.describe_fit({"accuracy": train, "val_accuracy": held}, Options(**options))
    assert len(texts) == (start is not None)
    assert start is None or texts[0].startswith(start)
    if options.get("head_only"):
        assert "Train more of the network" in texts[0]


def test_confused_classes_are_named_with_their_share_of_the_errors():
    labels = np.repeat([0, 1, 2, 3], 10)
    answers = labels.copy()
    answers[:6] = 1  # six of the first class are taken for the second
    answers[10:13] = 2
    answers[39] = 0  # once: no pattern
    (text,) = limits.describe_confusions(labels, answers, ["cat", "dog", "elk", "fox"])
    assert "cat as dog (6 of 10); dog as elk (3 of 10). That is 90% of 10 errors" in text
    assert limits.describe_confusions(labels, labels, ["cat", "dog", "elk", "fox"]) == []
