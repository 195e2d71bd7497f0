"""Estimation error against NumPy, and where the answer is known."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, analysis
from keras_unrolled.analysis.estimation import EstimationError
from tests.analysis.conftest import blocks_of, make


def states_in_numpy(model, images, at):
    found = model.backbone.forward_intermediates(images)
    names = list(blocks_of(model))
    key = (lambda n: n) if at == "output" else (lambda n: f"{n}/mix")
    return {n: np.asarray(keras.ops.convert_to_numpy(found[key(n)]), "float64") for n in names}


@pytest.mark.parametrize("at", ["output", "mix"])
@pytest.mark.parametrize("gating", ["coupled", "plain"])
def test_estimation_error_equals_numpy(gating, at, images):
    model = make(gating)
    states = states_in_numpy(model, images, at)
    table = analysis.estimation_error(model, images, at=at)
    assert table["block"] == list(states)
    for row in table:
        final = states[f"stage{row['stage']}_block3"]
        error = states[row["block"]] - final
        assert row["mean"] == pytest.approx(error.mean(), abs=1e-5)
        assert row["std"] == pytest.approx(error.std(0).mean(), abs=1e-5)
        normalized = error.std(0).mean() / final.std(0).mean()
        assert row["normalized"] == pytest.approx(normalized, rel=1e-5)
        assert row["low"] <= row["normalized"] <= row["high"]


@pytest.mark.slow
def test_batches_do_not_change_the_result(images):
    model = make("full")
    tables = [
        analysis.observe(model, images, [EstimationError()], batch_size=size)["estimation_error"]
        for size in (4, 30)
    ]
    for a, b in zip(*tables):
        assert a["std"] == pytest.approx(b["std"], abs=1e-6)
        assert a["high"] == pytest.approx(b["high"], abs=1e-6)


def test_blocks_that_add_nothing_have_no_error(images):
    model = make()
    for block in blocks_of(model).values():
        for weight in (block.transform.norms[-1].gamma, block.transform.norms[-1].beta):
            weight.assign(np.zeros(block.output_filters))
    table = analysis.estimation_error(model, images)
    assert set(table["std"]) == set(table["mean"]) == {0}
    assert set(table["normalized"]) == {0}


def test_geometric_convergence_has_the_known_decay(images):
    # Coupled blocks with T = 1/2 whose H is the same constant for each image's channel: the distance
    # to it halves in every block. H = 0 here, so that a_k = a_0 / 2^k and A = a_0 / 8.
    model = make("coupled", mix_relu=False)
    for block in blocks_of(model).values():
        for stack in (block.transform, block.transform_gate):
            for weight in (stack.norms[-1].gamma, stack.norms[-1].beta):
                weight.assign(np.zeros(block.output_filters))
    table = analysis.estimation_error(model, images).where(stage=1)
    # a_k - A over A: 2^(3-k) - 1.
    np.testing.assert_allclose(table["normalized"], [3, 1, 0], rtol=1e-5)


@pytest.mark.slow
def test_control_is_measured_on_the_same_images(images):
    table = analysis.estimation_error(make(), images, control=make("plain"))
    assert table["network"] == ["model"] * 6 + ["control"] * 6
    alone = analysis.estimation_error(make("plain"), images)
    assert table.where(network="control")["std"] == alone["std"]
    with pytest.raises(InputError, match="Expected `at`"):
        analysis.estimation_error(make(), images, at="inside")
