"""The learning-rate range test: where a curve ends, and which rate it suggests."""

import csv

import numpy as np
import pytest
from PIL import Image

from keras_unrolled.engine.schedules import ExponentialRise
from keras_unrolled.finetuning import range_test
from keras_unrolled.finetuning.range_test import find_end, list_rates, smooth, suggest_rate


def valley(middle, noise=0.0):
    """Losses that fall to a lowest point at 10 ** middle, as a parabola of the logarithm."""
    draws = np.random.default_rng(0).normal(0, noise, len(list_rates()))
    return (1 + (np.log10(list_rates()) - middle) ** 2 / 4 + draws).tolist()


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rate_is_the_middle_of_the_valley(noise):
    rate = suggest_rate(list_rates(), valley(-2.5, noise))
    assert np.log10(rate) == pytest.approx(-2.5, abs=0.25 if noise else 0.06)


def test_valley_reaches_as_far_as_three_quarters_of_the_fall():
    exponents = np.log10(list_rates())  # a fall from 2 to 1 at 0.01, then a steeper rise
    losses = np.where(exponents <= -2, 2 - (exponents + 5) / 3, 1 + exponents + 2)
    # 1.25 is passed at -2.75 and again at -1.75; smoothing makes the lowest point less low.
    assert np.log10(suggest_rate(list_rates(), losses)) == pytest.approx(-2.25, abs=0.12)


def test_rate_stays_well_below_the_one_at_which_the_test_ended_early():
    rates = list_rates()[:35]  # up to 0.03
    losses = (2 - 0.02 * np.arange(35)).tolist()  # still falling
    assert suggest_rate(list_rates(), [*losses, *losses[:15]]) > rates[-1] / 10
    assert suggest_rate(rates, losses) == pytest.approx(rates[-1] / 10, rel=0.05)


def test_lowest_point_is_a_mean_of_seven_losses():
    rate = suggest_rate(list_rates(), [*[1.0] * 49, 0.0])
    assert rate == pytest.approx(list_rates()[46], rel=0.05)


@pytest.mark.parametrize("losses", [valley(-8), [1.0] * 50, [1.0] * 4])
def test_curve_that_does_not_fall_suggests_nothing(losses):
    assert suggest_rate(list_rates(), losses) is None


def test_smoothed_loss_is_the_mean_of_seven_steps_and_does_not_lag():
    losses = np.random.default_rng(1).random(20)
    expected = np.convolve(losses, np.ones(7) / 7, mode="valid")
    np.testing.assert_allclose(smooth(losses)[3:-3], expected)
    np.testing.assert_allclose(smooth(2.0 * np.arange(9)), 2.0 * np.arange(9))


def test_curve_ends_where_the_loss_has_doubled_or_is_not_finite():
    calm = [1.0] * 20
    assert find_end(calm) == 20
    assert find_end([*calm, float("nan"), 1.0]) == 20
    assert find_end([*calm, 5.0, *calm]) == 41  # one step is noise
    assert find_end([*calm, *[3.0] * 7]) == 20  # four of its seven are 3: a mean of 15 / 7


def test_schedule_takes_the_rates_of_the_test():
    rise = ExponentialRise(range_test.LOWEST, range_test.HIGHEST, range_test.STEPS)
    rates = [float(rise(step)) for step in range(range_test.STEPS)]
    np.testing.assert_allclose(rates, list_rates(), rtol=1e-5)
    assert (list_rates()[0], list_rates()[-1]) == pytest.approx((1e-5, 1.0))


def test_curve_is_written_and_drawn(tmp_path):
    losses = valley(-2.5)
    curve = {"learning_rate": list_rates(), "loss": losses}
    test = {"learning_rate": suggest_rate(list_rates(), losses), "steps": 50, "curve": curve}
    range_test.write_curve(test, tmp_path / "find_lr.csv")
    range_test.draw_curve(test, tmp_path / "find_lr.png")
    with (tmp_path / "find_lr.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == losses
    with Image.open(tmp_path / "find_lr.png") as picture:
        assert picture.size == (660, 432)  # 5.5 x 3.6 inches at 120 dots
