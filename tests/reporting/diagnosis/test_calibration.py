from types import SimpleNamespace

import numpy as np
import pytest

from keras_unrolled import InputError, data, evaluation
from keras_unrolled.reporting.diagnosis import calibration
from tests.reporting.nets import make_examples, make_model


@pytest.fixture
def scored(rng):
    """Scores of 300 images that are too sure, and their labels."""
    scores = rng.normal(size=(300, 4)) * 3
    p = np.exp(scores / 3)
    labels = np.array([rng.choice(4, p=row / row.sum()) for row in p])
    return SimpleNamespace(scores=scores.astype("float32")), labels


def test_half_that_chooses_the_temperature_is_not_shown(scored):
    seen, labels = scored
    found = calibration.calibrate_on_half(seen, labels, seed=3)
    assert (found.n, len(found.shown)) == (150, 150)
    others = np.setdiff1d(np.arange(300), found.shown)
    expected = evaluation.fit_temperature(seen.scores[others], labels[others])
    assert found.temperature == expected
    assert "seed 3" in found.chosen_on
    again = calibration.calibrate_on_half(seen, labels, seed=3)
    assert np.array_equal(again.shown, found.shown)
    other = calibration.calibrate_on_half(seen, labels, seed=4)
    assert not np.array_equal(other.shown, found.shown)


def test_effect_is_measured_on_the_images_that_are_shown(scored):
    seen, labels = scored
    found = calibration.calibrate_on_half(seen, labels, seed=0)
    rows, bins = calibration.compare_calibration(found, seen.scores, labels)
    assert [row["n"] for row in rows] == [300, 150, 150]
    assert [row["temperature"] for row in rows] == [1, 1, found.temperature]
    z = seen.scores[found.shown].astype("float64") / found.temperature
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    loss = -np.log(p[np.arange(150), labels[found.shown]]).mean()
    assert rows[2]["negative_log_likelihood"] == pytest.approx(loss)
    assert rows[2]["negative_log_likelihood"] < rows[1]["negative_log_likelihood"]
    assert rows[2]["calibration_error"] < rows[1]["calibration_error"]
    for temperature in (1, found.temperature):
        assert sum(row["n"] for row in bins if row["temperature"] == temperature) == 150


def test_no_temperature_is_chosen_where_every_answer_is_right():
    seen = SimpleNamespace(scores=5 * np.eye(4, dtype="float32")[np.arange(40) % 4])
    found = calibration.calibrate_on_half(seen, np.arange(40) % 4, seed=0)
    assert found.temperature == 1
    assert "answered right" in found.notes[0]


def test_few_images_are_noted(scored):
    seen, labels = scored
    few = SimpleNamespace(scores=seen.scores[:60])
    assert "on 30 images only" in calibration.calibrate_on_half(few, labels[:60], 0).notes[0]


@pytest.mark.slow
def test_images_that_are_scored_do_not_choose_the_temperature():
    model, examples = make_model(), make_examples(12)
    seen = calibration.look(model, examples.images, mirror=False)
    fresh = make_examples(10, seed=1)
    other = data.Examples(
        np.concatenate([fresh.images, examples.images[:5]]),
        np.concatenate([fresh.labels, examples.labels[:5]]),
        examples.names,
        "others",
    )
    found = calibration.calibrate_on_others(model, seen, other, "mine")
    assert found.n == 10
    assert len(found.shown) == 12
    assert "left out 5 images of mine" in found.notes[-1]
    expected = evaluation.fit_temperature(evaluation.predict(model, fresh.images), fresh.labels)
    assert found.temperature == pytest.approx(expected, rel=1e-3)
    with pytest.raises(InputError, match="Every one of mine, made up, is scored"):
        calibration.calibrate_on_others(model, seen, examples, "mine")
