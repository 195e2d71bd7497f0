"""Moments, sums and intervals in one pass."""

import numpy as np
import pytest

from keras_unrolled.analysis.moments import Grouped, Moments, add_up


def collect(x, y, sizes):
    grouped, start = Grouped(), 0
    for size in sizes:
        grouped.add([x[start : start + size], y[start : start + size]])
        start += size
    return grouped


@pytest.mark.parametrize("sizes", [(57,), (1, 25, 3, 28), (20, 20, 17)])
def test_moments_are_those_of_all_images_in_any_batches(rng, sizes):
    # Far from zero, where sums of squares would cancel in float32.
    x = (rng.normal(size=(57, 4, 3)) + 1000).astype("float32")
    y = (0.5 * x + rng.normal(size=x.shape) * 0.1).astype("float32")
    grouped = collect(x, y, sizes)
    moments = grouped.total
    wide = np.stack([x, y]).astype("float64")
    assert grouped.seen == moments.n == 57
    np.testing.assert_allclose(moments.mean, wide.mean(1), rtol=1e-6)
    rest = wide - wide.mean(1, keepdims=True)
    expected = (rest[:, None] * rest[None]).mean(2)
    np.testing.assert_allclose(moments.covariance, expected, rtol=2e-3, atol=1e-4)
    # Images go to the groups one by one, whatever the batches.
    np.testing.assert_allclose(grouped.groups[3].mean[0], x[3::10].mean(0), rtol=1e-6)


def test_group_can_be_taken_out_again(rng):
    x = rng.normal(size=(50, 6)).astype("float32")
    grouped = collect(x, x**2, (50,))
    rest = grouped.total.merge(grouped.groups[4], sign=-1)
    kept = np.delete(x, np.arange(4, 50, 10), 0)
    expected = Moments.of([kept, kept**2])
    assert rest.n == 45
    np.testing.assert_allclose(rest.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rest.comoment, expected.comoment, rtol=1e-4, atol=1e-5)


def test_interval_of_a_mean_covers_the_true_one_in_most_draws(rng):
    covered = 0
    for _ in range(300):
        grouped = Grouped()
        grouped.add([rng.exponential(size=200)], add_up)
        value, low, high = grouped.interval(lambda s: s.mean[0])
        assert low < value < high
        covered += low < 1 < high
    assert 0.90 < covered / 300 < 0.99


def test_few_images_have_no_interval(rng):
    grouped = Grouped()
    grouped.add([rng.normal(size=19)], add_up)
    value, low, high = grouped.interval(lambda s: s.mean[0])
    assert np.isfinite(value)
    assert np.isnan([low, high]).all()


def test_large_maps_are_thinned_to_a_grid(rng, monkeypatch):
    from keras_unrolled.analysis import moments

    x = rng.normal(size=(12, 8, 8, 3)).astype("float32")
    monkeypatch.setattr(moments, "MOST_NUMBERS", 2 * 8 * 8 * 3 // 4)
    grouped = Grouped()
    grouped.add([x])
    np.testing.assert_allclose(grouped.total.mean[0], x[:, ::2, ::2].mean(0), rtol=1e-5, atol=1e-6)
    assert grouped.seen == 12
    flat = Grouped()
    flat.add([x.reshape(12, -1)])  # of words, all units are kept
    assert flat.total.mean.shape == (1, 192)
