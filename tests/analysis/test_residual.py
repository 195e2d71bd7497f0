"""Means of residuals against NumPy on whole arrays."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_unrolled.analysis.observing import observe
from keras_unrolled.analysis.residual import ResidualMean, residual_mean
from tests.analysis.small_nets import assert_same, chain, draw, look, make, split

BLOCKS = ["stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2"]


def find_share(change):
    """The part of E[F^2] that is E[F]^2, with the unbiased estimate of the latter."""
    n = len(change)
    error = change.var(0, ddof=1) / n
    return (change.mean(0) ** 2 - error).sum() / (change**2).mean(0).sum()


@pytest.mark.parametrize("gating", ["residual", "coupled"])
def test_means_and_shares_agree_with_numpy(gating, rng):
    model, (images, _) = make(gating), draw(rng, 33)
    parts, table = look(model, images), residual_mean(split(model), images)
    assert table["block"] == [block for block in BLOCKS for _ in range(2)]
    assert table["of"] == ["residual", "change"] * 4
    assert table["stage"] == [1] * 4 + [2] * 4
    for row in table:
        end = {"residual": "mix", "change": "output"}[row["of"]]
        change = parts[row["block"]][end] - parts[row["block"]]["shortcut"]
        mean, error = change.mean(0), change.std(0, ddof=1) / np.sqrt(33)
        share = find_share(change)
        rest = [find_share(np.delete(change, slice(g, None, 10), 0)) for g in range(10)]
        half = 2.262 * np.sqrt(0.9 * ((rest - np.mean(rest)) ** 2).sum())
        expected = {"mean": mean.mean(), "rms": np.sqrt((mean**2).mean()), "share": share}
        expected |= {"low": share - half, "high": share + half}
        expected["significant"] = (np.abs(mean) > 1.96 * error).mean()
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, rel=1e-5, abs=1e-5), column


def test_results_do_not_depend_on_the_batches(rng):
    stack, data = split(make("full")), draw(rng, 50)[0]
    small, large = (
        observe(stack, data, [ResidualMean()], batch_size=size)["residual_mean"] for size in (3, 50)
    )
    assert_same(small, large, 1e-6)
    assert None not in small["low"]


def test_blocks_that_add_nothing_have_no_share(rng):
    table = residual_mean(chain([lambda x: 0 * x]), rng.normal(size=(30, 4)).astype("float32"))
    for row in table:
        assert row["mean"] == row["rms"] == row["significant"] == 0
        assert row["share"] is row["low"] is row["high"] is None


def test_blocks_that_add_the_same_to_all_images_have_a_share_of_1(rng):
    x = rng.normal(size=(30, 4)).astype("float32")
    for row in residual_mean(chain([lambda x: 0 * x + 2]), x):
        assert row["mean"] == row["rms"] == pytest.approx(2)
        for column in ("share", "low", "high", "significant"):
            assert row[column] == pytest.approx(1)


def draw_rows(rng, mean, draws, n=40, units=50):
    """Rows of residuals whose units have this mean and a standard deviation of 1."""
    for _ in range(draws):
        accumulator = ResidualMean()
        block = SimpleNamespace(name="b", stage=1)
        accumulator.start(SimpleNamespace(blocks=[block]))
        change = (mean + rng.normal(size=(n, units))).astype("float32")
        parts = {"shortcut": 0 * change, "mix": change, "output": change}
        accumulator.update(SimpleNamespace(parts={"b": parts}))
        yield accumulator.result().rows[0]


@pytest.mark.slow
def test_interval_covers_the_true_share_in_95_percent_of_the_draws(rng):
    true = 0.5**2 / (0.5**2 + 1)
    covered = [row["low"] <= true <= row["high"] for row in draw_rows(rng, 0.5, 200)]
    assert 0.9 < np.mean(covered) < 0.99


def test_without_a_mean_the_share_is_0_and_5_percent_of_the_units_are_significant(rng):
    rows = list(draw_rows(rng, 0, 100))
    shares = [row["share"] for row in rows]
    assert abs(np.mean(shares)) < 4 * np.std(shares) / 10
    assert np.mean([row["significant"] for row in rows]) == pytest.approx(0.055, abs=0.015)


def test_few_images_have_no_interval_and_plain_blocks_no_rows(rng):
    images, _ = draw(rng, 19)
    table = residual_mean(split(make()), images)
    assert set(table["low"]) == set(table["high"]) == {None}
    assert None not in table["share"]
    assert len(residual_mean(split(make("plain")), images)) == 0
