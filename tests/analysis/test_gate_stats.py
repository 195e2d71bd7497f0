"""Statistics of gates against NumPy on whole arrays."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis.gate_stats import BY, GateStats, gate_stats
from keras_unrolled.analysis.observing import observe
from keras_unrolled.convert import regate
from keras_unrolled.layers.mixing import GATINGS
from tests.analysis.small_nets import CLASSES, assert_same, draw, look, make, split

BLOCKS = ["stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2"]
FREE = ("full", "coupled", "c_only", "t_only")


def wide(gating):
    """A network whose gates reach from shut to open."""
    model = make(gating)
    for weight in model.backbone.weights:
        if "_gate/" in weight.path and weight.path.endswith(("gamma", "norm2/beta")):
            weight.assign(4 * weight)
    return model


def rows_of(gating, images):
    """The values of every gate that is not fixed, by block and gate."""
    parts = look(wide(gating), images)
    return {
        (block, gate): parts[block][f"{gate}_gate"]
        for block in BLOCKS
        for gate in ("transform", "carry")
        if parts[block][f"{gate}_gate"].ndim
    }


@pytest.mark.parametrize("gating", FREE)
def test_means_spreads_and_saturation_agree_with_numpy(gating, rng):
    images, _ = draw(rng, 34)
    values, table = rows_of(gating, images), gate_stats(split(wide(gating)), images)
    assert table["block"] == [b for b in BLOCKS for _ in range(2)]
    assert table["gate"] == ["transform", "carry"] * 4
    for row in table:
        assert row["kind"] == getattr(GATINGS[gating], row["gate"])
        if (row["block"], row["gate"]) not in values:
            assert [row["mean"], row["std"], row["shut"], row["open"]] == [1, 0, 0, 1]
            continue
        gate = values[row["block"], row["gate"]]
        means = gate.mean((1, 2, 3))
        expected = {"mean": gate.mean(), "std": gate.std(), "between_images": means.std()}
        expected |= {"shut": (gate < 0.05).mean(), "open": (gate > 0.95).mean()}
        rest = [np.delete(means, slice(g, None, 10)).mean() for g in range(10)]
        half = 2.262 * np.sqrt(0.9 * ((rest - np.mean(rest)) ** 2).sum())
        expected |= {"low": means.mean() - half, "high": means.mean() + half}
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, abs=1e-5), column
    assert max(table["shut"]) > 0.02


@pytest.mark.slow
def test_tables_by_channel_class_position_and_bin_agree_with_numpy(rng):
    images, labels = draw(rng, 20)
    labels[labels == 1] = 2
    values, stack = rows_of("full", images), split(wide("full"))
    tables = {by: gate_stats(stack, images, labels, by=by) for by in BY}
    for (block, gate), value in values.items():
        rows = {by: table.where(block=block, gate=gate) for by, table in tables.items()}
        flat = value.reshape(-1, value.shape[-1])
        assert rows["channel"]["channel"] == list(range(value.shape[-1]))
        np.testing.assert_allclose(rows["channel"]["mean"], flat.mean(0), atol=1e-5)
        np.testing.assert_allclose(rows["channel"]["std"], flat.std(0), atol=1e-5)
        assert rows["class"]["class"] == [0, 2, 3]
        assert rows["class"]["n"] == [int((labels == c).sum()) for c in (0, 2, 3)]
        means = [value[labels == c].mean() for c in (0, 2, 3)]
        np.testing.assert_allclose(rows["class"]["mean"], means, atol=1e-5)
        places = list(zip(rows["position"]["row"], rows["position"]["column"]))
        assert places == list(np.ndindex(value.shape[1:3]))
        means = value.mean((0, 3)).reshape(-1)
        np.testing.assert_allclose(rows["position"]["mean"], means, atol=1e-5)
        counts, edges = np.histogram(value, 20, (0, 1))
        np.testing.assert_allclose(rows["histogram"]["share"], counts / value.size, atol=1e-5)
        np.testing.assert_allclose(rows["histogram"]["low"], edges[:-1])
        np.testing.assert_allclose(rows["histogram"]["high"], edges[1:])


def test_results_do_not_depend_on_the_batches(rng):
    stack, data = split(wide("full")), draw(rng, 50)
    small, large = GateStats(), GateStats()
    for accumulator, size in ((small, 3), (large, 50)):
        observe(stack, data, [accumulator], batch_size=size)
    for by in BY:
        assert_same(small.table(by), large.table(by), 1e-6)


def test_constant_gates_have_no_spread(rng):
    images, _ = draw(rng, 30)
    for row in gate_stats(split(regate(make(), "coupled", transform_bias=1.3)), images):
        mean = 1 / (1 + np.exp(-1.3 if row["gate"] == "transform" else 1.3))
        assert row["mean"] == pytest.approx(mean, abs=1e-6)
        assert row["std"] < 1e-6
        assert row["between_images"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("gating", ["residual", "plain"])
def test_fixed_gates_have_their_value_and_no_further_tables(gating, rng):
    images, labels = draw(rng, 6)
    table = gate_stats(split(make(gating)), images)
    carry = {"residual": 1, "plain": 0}[gating]
    assert table["kind"] == ["one", {1: "one", 0: "zero"}[carry]] * 4
    assert table["mean"] == table["low"] == table["high"] == table["open"] == [1, carry] * 4
    assert table["shut"] == [0, 1 - carry] * 4
    for by in BY[1:]:
        assert len(gate_stats(split(make(gating)), images, labels, by=by)) == 0


def test_interval_covers_the_mean_of_all_images_in_95_percent_of_the_draws(rng):
    images, _ = draw(rng, 1000)
    gate = rows_of("coupled", images)["stage2_block2", "transform"]
    mean, covered = gate.mean(), []
    for _ in range(200):
        accumulator = GateStats()
        block = SimpleNamespace(name="b", stage=1, gating="coupled")
        accumulator.start(SimpleNamespace(blocks=[block], num_classes=CLASSES))
        value = gate[rng.integers(0, len(gate), 40)]
        parts = {"b": {"transform_gate": value, "carry_gate": 1 - value}}
        accumulator.update(SimpleNamespace(parts=parts, labels=None))
        row = accumulator.result().rows[0]
        covered.append(row["low"] <= mean <= row["high"])
    assert 0.9 < np.mean(covered) < 0.99


def test_few_images_have_no_interval(rng):
    table = gate_stats(split(make("coupled")), draw(rng, 19)[0])
    assert set(table["low"]) == set(table["high"]) == {None}


def test_what_does_not_fit_is_rejected(rng):
    stack, (images, labels) = split(make("coupled")), draw(rng, 5)
    with pytest.raises(InputError, match="Expected `by`"):
        gate_stats(stack, images, by="layer")
    with pytest.raises(InputError, match="Expected labels for gate_stats"):
        gate_stats(stack, images, by="class")
    with pytest.raises(InputError, match="Expected a class number"):
        gate_stats(stack, images, labels[:3], by="class")
