import numpy as np
import pytest

from keras_unrolled import InputError, evaluation
from keras_unrolled.evaluation import calibration


@pytest.fixture
def scores(rng):
    """Logits of 400 images and 5 classes, and labels drawn from their probabilities at 2.5."""
    scores = 3 * rng.normal(size=(400, 5))
    p = np.exp(scores / 2.5)
    p /= p.sum(-1, keepdims=True)
    return scores, np.array([rng.choice(5, p=row) for row in p])


def loss(scores, labels, temperature):
    p = np.exp(scores / temperature)
    return -np.mean(np.log(p[np.arange(len(p)), labels] / p.sum(-1)))


def test_temperature_has_the_least_loss_on_a_grid(scores):
    found = evaluation.fit_temperature(*scores)
    grid = np.geomspace(0.5, 10, 4001)
    best = grid[np.argmin([loss(*scores, t) for t in grid])]
    assert found == pytest.approx(best, rel=1e-3)
    assert 2 < found < 3.2
    assert loss(*scores, found) <= min(loss(*scores, found * f) for f in (0.999, 1.001))


def test_temperature_agrees_with_scipy(scores):
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize_scalar(
        lambda log_t: loss(*scores, np.exp(log_t)), bounds=(-3, 3), method="bounded"
    )
    assert evaluation.fit_temperature(*scores) == pytest.approx(np.exp(found.x), rel=1e-4)


@pytest.mark.parametrize("factor", [0.2, 7.0])
def test_scaled_scores_have_a_scaled_temperature(scores, factor):
    values, labels = scores
    first = evaluation.fit_temperature(values, labels)
    assert evaluation.fit_temperature(factor * values, labels) == pytest.approx(factor * first)
    shifted = values + np.arange(len(values))[:, None]
    assert evaluation.fit_temperature(shifted, labels) == pytest.approx(first)


def test_temperature_without_a_minimum_is_the_bound_or_one():
    assert evaluation.fit_temperature(np.eye(3) * 5, [0, 1, 2]) == 0.01
    assert evaluation.fit_temperature(np.eye(3) * 5, [1, 2, 0]) == pytest.approx(100)
    assert evaluation.fit_temperature(np.ones((4, 3)), [0, 1, 2, 2]) == 1


def test_scores_of_probabilities_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
    labels = [0, 2, 1]
    found = calibration.score_probabilities(np.log(p), labels)
    assert found["negative_log_likelihood"] == pytest.approx(-np.log([0.7, 0.1, 0.4]).mean())
    squares = [0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.8**2 + 0.9**2, 0.5**2 + 0.6**2 + 0.1**2]
    assert found["brier"] == pytest.approx(np.mean(squares))
    # Each image is in a bin of its own.
    assert found["calibration_error"] == pytest.approx((0.3 + 0.8 + 0.5) / 3)


def test_scores_agree_with_scikit_learn(scores):
    metrics = pytest.importorskip("sklearn.metrics")
    log_p = calibration.log_softmax(scores[0])
    found = calibration.score_probabilities(log_p, scores[1])
    expected = metrics.log_loss(scores[1], np.exp(log_p), labels=range(5))
    assert found["negative_log_likelihood"] == pytest.approx(expected)


def test_calibration_error_agrees_with_a_loop_over_bins(scores):
    values, labels = scores
    p = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    top, right, expected = p.max(-1), p.argmax(-1) == labels, 0.0
    for k in range(15):
        inside = (top > k / 15) & (top <= (k + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    log_p = calibration.log_softmax(values)
    assert calibration.score_probabilities(log_p, labels)["calibration_error"] == pytest.approx(
        expected
    )
    rows = calibration.reliability(log_p, labels)
    assert sum(row["n"] for row in rows) == 400
    assert [row["n"] for row in rows[:3]] == [0, 0, 0]  # a fifth at least
    assert rows[0]["accuracy"] is None
    assert all(r["low"] <= r["accuracy"] <= r["high"] for r in rows if r["n"])


def test_bin_has_its_upper_bound_and_not_its_lower_one():
    log_p = np.log([[0.5, 0.5], [0.75, 0.25], [1.0, 1e-300]])
    rows = calibration.reliability(log_p, [0, 0, 0], bins=4)
    assert [row["n"] for row in rows] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.ones(3), [0, 0, 0], "Expected finite scores"),
        (np.ones((0, 3)), [], "Expected finite scores"),
        ([[np.nan, 1.0]], [0], "not finite"),
        (np.ones((2, 3)), [0, 3], "from 0 to 3"),
        (np.ones((2, 3)), [0], "of shape"),
    ],
)
def test_bad_scores_and_labels_are_rejected(scores, labels, message):
    with pytest.raises(InputError, match=message):
        evaluation.fit_temperature(scores, labels)
