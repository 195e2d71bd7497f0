"""Optimal gates against NumPy, and on estimates with known covariances."""

import keras
import numpy as np
import pytest

from keras_unrolled import analysis
from keras_unrolled.analysis.optimal_gate import OptimalGate
from tests.analysis.conftest import blocks_of, make


def to_numpy(x):
    return np.asarray(keras.ops.convert_to_numpy(x), "float64")


def covariance(a, b):
    return ((a - a.mean(0)) * (b - b.mean(0))).mean(0)


def test_coupled_gates_equal_numpy(images):
    model = make("coupled")
    found = model.backbone.forward_intermediates(images)
    for row in analysis.optimal_gate(model, images):
        name, stage = row["block"], row["stage"]
        h, x, t = (
            to_numpy(found[f"{name}/{part}"])
            for part in ("transform", "shortcut", "transform_gate")
        )
        y, final = to_numpy(found[name]), to_numpy(found[f"stage{stage}_block3"])
        # Equation 11: with the errors of the old estimate x and of the new one H.
        old, new = x - final, h - final
        best = (covariance(old, old) - covariance(old, new)) / covariance(old - new, old - new)
        own = covariance(y - x, h - x) / covariance(h - x, h - x)
        weights = covariance(h - x, h - x)
        assert row["optimal"] == pytest.approx(np.average(best, weights=weights), abs=1e-5)
        assert row["own"] == pytest.approx(np.average(own, weights=weights), abs=1e-5)
        assert row["own"] + row["later"] == pytest.approx(row["optimal"])
        assert row["trained"] == pytest.approx(np.average(t.mean(0), weights=weights), abs=1e-5)
        correlation = np.corrcoef(t.mean(0).ravel(), best.ravel())[0, 1]
        assert row["correlation"] == pytest.approx(correlation, abs=1e-4)
        assert row["tautology"] == (name == f"stage{stage}_block3")
        if row["tautology"]:
            assert row["later"] == pytest.approx(0, abs=1e-9)


class FakeTrace:
    """Estimates drawn at random in place of a network's."""

    def __init__(self, **parts):
        final = parts.pop("final")
        ones = np.ones_like(final)
        gates = {"transform_gate": 0.5 * ones, "carry_gate": 0.5 * ones}
        first = {**gates, "output": 0.5 * (parts["transform"] + parts["shortcut"]), **parts}
        last = {**gates, "output": final, "transform": final, "shortcut": parts["shortcut"]}
        self.parts = {"stage1_block1": first, "stage1_block2": last}


def measure(gating, trace):
    accumulator = OptimalGate()
    accumulator.start(analysis.as_stack(make(gating, stackwise_num_blocks=[2, 2])))
    accumulator.stages = accumulator.stages[:1]
    accumulator.update(trace)
    return accumulator.result().where(block="stage1_block1")


def test_weights_of_estimates_with_known_covariances_are_recovered(rng):
    n, units = 4000, 200
    final = rng.normal(size=(n, units))
    old, new = 2.0 * rng.normal(size=(n, units)), rng.normal(size=(n, units))
    new = 0.25 * old + new  # correlated errors
    trace = FakeTrace(final=final, transform=final + new, shortcut=final + old)
    (row,) = measure("coupled", trace)
    # Var old = 4, Var new = 1 + 4/16, Cov = 1: T = (4 - 1) / (4 + 1.25 - 2).
    assert row["optimal"] == pytest.approx(3 / 3.25, abs=1e-3)
    assert row["low"] < 3 / 3.25 < row["high"]
    # Without the constraint that they add up to 1: regression of A on H and x.
    transform, carry = measure("full", trace)
    matrix = np.array([[1 + 1.25, 1 + 1.0], [1 + 1.0, 1 + 4.0]])
    expected = np.linalg.solve(matrix, [1.0, 1.0])
    assert (transform["optimal"], carry["optimal"]) == pytest.approx(tuple(expected), abs=1e-3)


@pytest.mark.slow
def test_residual_and_plain_networks_have_no_rows(images):
    for gating in ("residual", "plain"):
        assert len(analysis.optimal_gate(make(gating), images)) == 0
    names = analysis.optimal_gate(make("full"), images)["block"]
    assert names == [name for name in blocks_of(make("full")) for _ in range(2)]


def test_single_image_has_trained_gates_and_no_optimal_ones(images):
    found = analysis.optimal_gate(make("full"), images[:1])
    assert {row["optimal"] for row in found} == {None}
    assert {row["correlation"] for row in found} == {None}
    assert all(0 < row["trained"] < 1 for row in found)


@pytest.mark.slow
def test_large_maps_give_nearly_the_same(images, monkeypatch):
    from keras_unrolled.analysis import moments

    whole = analysis.optimal_gate(make("full"), images)
    monkeypatch.setattr(moments, "MOST_NUMBERS", 20 * 12 * 12 * 8 // 3)
    thinned = analysis.optimal_gate(make("full"), images)
    for a, b in zip(whole, thinned):
        assert b["trained"] == pytest.approx(a["trained"], abs=0.1)
        assert b["optimal"] == pytest.approx(a["optimal"], abs=0.3)
    assert thinned.rows != whole.rows
