import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.reporting.diagnosis import count_errors, find_confidence, find_suspects


def make_probabilities(rng, n=300, classes=4, sharpness=2.0):
    """Probabilities of n images, and labels drawn from them."""
    p = rng.dirichlet(np.full(classes, 1 / sharpness), n)
    return p, np.array([rng.choice(classes, p=row) for row in p])


def test_planted_wrong_labels_are_found_and_no_others(rng):
    labels = np.arange(200) % 4
    p = np.full((200, 4), 0.04)
    p[np.arange(200), labels] = rng.uniform(0.85, 0.95, 200)
    p /= p.sum(-1, keepdims=True)
    planted = rng.choice(200, 8, replace=False)
    for i in planted:
        p[i] = [0.01] * 4
        p[i, (labels[i] + 1) % 4] = 0.97
    found = find_suspects(p, labels)
    assert {row["number"] for row in found} == set(planted)
    for row in found:
        assert row["suggested"] == (row["label"] + 1) % 4
        assert row["margin"] == pytest.approx(0.96)


def test_count_and_suspects_agree_with_their_definitions_in_loops(rng):
    p, labels = make_probabilities(rng)
    means = [p[labels == j, j].mean() for j in range(4)]
    assert find_confidence(p, labels) == pytest.approx(means)
    joint = np.zeros((4, 4))
    for row, label in zip(p, labels):
        above = [j for j in range(4) if row[j] >= means[j]]
        if above:
            joint[label, max(above, key=lambda j: row[j])] += 1
    scaled = [joint[i] / joint[i].sum() * np.sum(labels == i) for i in range(4)]
    expected = round(sum(scaled[i][j] for i in range(4) for j in range(4) if i != j))
    assert count_errors(p, labels) == expected
    found = find_suspects(p, labels)
    otherwise = [i for i in range(len(p)) if p[i].argmax() != labels[i]]
    ranked = sorted(otherwise, key=lambda i: p[i, labels[i]])
    assert [row["number"] for row in found] == ranked[:expected]
    assert 20 < len(found) < len(otherwise)
    assert all(row["suggested"] == p[row["number"]].argmax() for row in found)


def test_count_is_that_of_cleanlabs_joint(rng):
    count = pytest.importorskip("cleanlab.count")
    p, labels = make_probabilities(rng, 500)
    joint = count.compute_confident_joint(labels, p, calibrate=False)
    scaled = joint / joint.sum(1, keepdims=True) * np.bincount(labels)[:, None]
    assert count_errors(p, labels) == round(scaled.sum() - scaled.trace())


def test_class_without_images_is_never_suggested():
    p = np.array([[0.6, 0.1, 0.3], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]])
    labels = [0, 1, 1]
    assert find_confidence(p, labels) == pytest.approx([0.6, 0.425, np.inf])
    assert find_suspects(p, labels) == []


@pytest.mark.parametrize(
    ("p", "labels", "message"),
    [
        ([[2.0, -1.0]], [0], "from 0 to 1"),
        ([0.5, 0.5], [0, 1], "the shape"),
        ([[0.5, 0.5]], [2], "from 0 to 1"),
        ([[np.nan, 0.5]], [0], "from 0 to 1"),
    ],
)
def test_bad_probabilities_and_labels_are_rejected(p, labels, message):
    with pytest.raises(InputError, match=message):
        find_suspects(p, labels)
