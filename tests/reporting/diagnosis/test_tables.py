import numpy as np
import pytest

from keras_unrolled.reporting.diagnosis import tables

NAMES = ["a", "b", "c"]
LABELS = np.array([0, 0, 0, 0, 1, 1])
ANSWERS = np.array([0, 0, 1, 2, 1, 0])


def test_classes_have_accuracy_interval_and_most_frequent_mistake():
    first, second, third = tables.tabulate_classes(LABELS, ANSWERS, NAMES)
    assert (first["n"], first["accuracy"], first["answered"]) == (4, 0.5, 3)
    assert first["precision"] == pytest.approx(2 / 3)
    # Wilson's bounds are where the share is 1.96 standard errors of the bound away.
    z = 1.959964**2 / 4
    bounds = sorted(np.roots([1 + z, -2 * 0.5 - z, 0.5**2]))
    assert (first["low"], first["high"]) == pytest.approx(bounds)
    assert (first["mistaken_for"], first["mistaken"]) == ("b", 1)
    assert (second["accuracy"], second["mistaken_for"]) == (0.5, "a")
    assert (third["n"], third["accuracy"], third["low"], third["mistaken_for"]) == (
        *(0, None, None),
        None,
    )


def test_confusion_has_the_pairs_that_occur():
    found = {
        (r["label"], r["answer"]): r["n"] for r in tables.tabulate_confusion(LABELS, ANSWERS, NAMES)
    }
    assert found == {("a", "a"): 2, ("a", "b"): 1, ("a", "c"): 1, ("b", "a"): 1, ("b", "b"): 1}
    counts = tables.count_answers(LABELS, ANSWERS, 3)
    metrics = pytest.importorskip("sklearn.metrics")
    assert np.array_equal(counts, metrics.confusion_matrix(LABELS, ANSWERS, labels=range(3)))


def test_mirror_averages_probabilities_not_scores():
    p = np.array([[0.65, 0.3, 0.05], [0.4, 0.5, 0.1], [0.8, 0.1, 0.1]])
    q = np.array([[0.1, 0.3, 0.6], [0.7, 0.2, 0.1], [0.9, 0.05, 0.05]])
    # Of the first the mean is largest in class 0, the product in class 1.
    found = tables.tabulate_mirror(np.array([0, 1, 0]), np.log(p), np.log(q)).rows[0]
    right = (p + q).argmax(-1) == [0, 1, 0]
    assert right.tolist() == [True, False, True]
    assert (found["accuracy"], found["averaged"]) == (1, pytest.approx(2 / 3))
    assert (found["only_plain"], found["only_averaged"]) == (1, 0)
    assert found["difference"] == pytest.approx(-1 / 3)


def test_images_have_their_loss():
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])
    first, second = tables.tabulate_images(np.array([0, 2]), np.log(p), NAMES, ["x.png", "y.png"])
    assert first == {
        "image": "x.png",
        "label": "a",
        "answer": "a",
        "probability": pytest.approx(0.7),
        "label_probability": pytest.approx(0.7),
        "loss": pytest.approx(-np.log(0.7)),
    }
    assert (second["label"], second["answer"]) == ("c", "a")
    assert second["loss"] == pytest.approx(-np.log(0.1))
