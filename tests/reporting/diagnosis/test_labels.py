import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.reporting.diagnosis import find_confidence, find_suspects


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


def test_suspects_agree_with_the_definition_in_loops(rng):
    p, labels = make_probabilities(rng)
    means = [p[labels == j, j].mean() for j in range(4)]
    assert find_confidence(p, labels) == pytest.approx(means)
    expected = {}
    for i, label in enumerate(labels):
        above = [j for j in range(4) if j != label and p[i, j] >= means[j]]
        if p[i, label] < means[label] and above:
            expected[i] = max(above, key=lambda j: p[i, j])
    found = find_suspects(p, labels)
    assert len(found) > 20
    assert {row["number"]: row["suggested"] for row in found} == expected
    margins = [row["margin"] for row in found]
    assert margins == sorted(margins, reverse=True)


def test_suspects_are_the_off_diagonal_of_cleanlabs_joint(rng):
    count = pytest.importorskip("cleanlab.count")
    p, labels = make_probabilities(rng, 500)
    _, indices = count.compute_confident_joint(
        labels, p, calibrate=False, return_indices_of_off_diagonals=True
    )
    # Cleanlab also counts images whose label is above its threshold, but not the likeliest.
    means = find_confidence(p, labels)
    expected = {int(i) for i in indices if p[i, labels[i]] < means[labels[i]]}
    assert {row["number"] for row in find_suspects(p, labels)} == expected
    assert expected


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
