"""The temperatures of the records, computed once more without the package's functions."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import data
from keras_unrolled.presets import card
from zoo import build, calibrate


def score(scores, labels, temperature):
    """Negative log-likelihood, Brier score and calibration error, in plain NumPy."""
    p = np.exp(scores.astype("float64") / temperature)
    p /= p.sum(-1, keepdims=True)
    rows = np.arange(len(p))
    target = np.zeros_like(p)
    target[rows, labels] = 1
    top, right, error = p.max(-1), p.argmax(-1) == labels, 0.0
    for k in range(15):
        inside = (top > k / 15) & (top <= (k + 1) / 15)
        error += abs(right[inside].sum() - top[inside].sum()) / len(p)
    return {
        "negative_log_likelihood": -np.log(p[rows, labels]).mean(),
        "brier": ((p - target) ** 2).sum(-1).mean(),
        "calibration_error": error,
    }


def check(found, choose, other):
    """Compares an entry with what NumPy computes from scores and labels of both halves."""
    temperature = found["temperature"]
    around = [score(*choose, temperature * f)["negative_log_likelihood"] for f in (0.99, 1, 1.01)]
    assert around[1] < min(around[0], around[2])
    assert found["before"] == pytest.approx(score(*other, 1), abs=1e-5)
    assert found["after"] == pytest.approx(score(*other, temperature), abs=1e-5)
    assert (found["n"], found["scored_n"]) == (len(choose[1]), len(other[1]))


def draw(rng, n):
    scores = rng.normal(0, 3, (n, 10))
    p = np.exp(scores / 1.7)
    return scores, np.array([rng.choice(10, p=row / row.sum()) for row in p])


def test_temperature_is_chosen_on_one_half_and_scored_on_the_other(rng):
    choose, other = draw(rng, 700), draw(rng, 600)
    found = calibrate.measure(choose, other)
    check(found, choose, other)
    assert 1.4 < found["temperature"] < 2.1
    assert found["after"]["calibration_error"] < found["before"]["calibration_error"]


def test_presets_of_20_layers_have_a_temperature_and_show_it():
    names = calibrate.find_names([])
    assert len(names) == 9
    table = build.make_calibration_table(ku.list_presets(dataset="cifar10"))
    for name in names:
        record = ku.load_record(name)
        found = record.calibration
        assert (found["split"], found["scored_on"]) == ("test[:5000]", "test[5000:]")
        assert (found["n"], found["scored_n"]) == (5000, 5000)
        assert f"`{name}` | {found['temperature']:.3f} |" in table
        assert f"temperature {found['temperature']:.3f}, chosen on 5,000 images" in card.describe(
            record
        )


@pytest.mark.slow
def test_recorded_figures_are_those_of_the_preset(tfds_dir):
    model = ku.from_preset("resnet_nobn_cifar10")
    found = ku.load_record("resnet_nobn_cifar10").calibration
    halves = []
    for split in ("test[:5000]", "test[5000:]"):
        part = data.load_cifar10(tfds_dir, split)
        halves.append((model.predict(part.images, batch_size=250, verbose=0), part.labels))
    check(found, *halves)


def test_other_names_are_rejected(capsys):
    assert calibrate.main(["--tfds", "nowhere", "highway_small_ptb"]) == 2
    assert "highway_small_ptb" in capsys.readouterr().err
