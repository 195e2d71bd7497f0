import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.layers import Block, LayerDropout
from tests.conftest import first_fast


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_training_drops_whole_batches_with_the_given_probability():
    layer = LayerDropout(0.3, seed=1)
    x = np.ones((4, 2, 2, 3), "float32")
    outputs = np.stack([to_numpy(layer(x, training=True)) for _ in range(600)])
    kept = outputs.reshape(600, -1)
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert (kept == kept[:, :1]).all()  # one draw for the batch
    assert abs(kept[:, 0].mean() - 0.7) < 0.06  # three standard deviations


def test_unit_sample_drops_each_example_separately():
    layer = LayerDropout(0.5, unit="sample", seed=1)
    kept = to_numpy(layer(np.ones((2000, 2, 2, 1), "float32"), training=True))
    assert (kept == kept[:, :1, :1]).all()
    assert abs(kept[:, 0, 0, 0].mean() - 0.5) < 0.04


def test_inference_scales_by_the_survival_probability():
    y = LayerDropout(0.25)(np.full((2, 3), 4.0, "float32"))
    np.testing.assert_array_equal(to_numpy(y), 3.0)


def test_dropped_block_copies_its_input(rng):
    x = rng.uniform(size=(3, 4, 4, 8)).astype("float32")
    for gating in ("residual", "coupled", "t_only"):
        block = Block(8, gating=gating, layer_dropout=0.999999, mix_relu=False)
        np.testing.assert_allclose(to_numpy(block(x, training=True)), x, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("gating", first_fast("coupled", "full", "residual", "c_only", "t_only"))
def test_inference_is_the_mean_of_training_over_the_draws(gating, rng):
    # Without normalization a block is the same function in training, but for the draw.
    x = rng.uniform(size=(2, 4, 4, 8)).astype("float32")
    block = Block(8, gating=gating, normalization=None, layer_dropout=0.4, mix_relu=False)
    draws = [to_numpy(block(x, training=True)) for _ in range(400)]
    dropped, kept = draws[0], next(d for d in draws if np.abs(d - draws[0]).max() > 1e-4)
    share = np.mean([np.abs(d - kept).max() < 1e-6 for d in draws])
    assert abs(share - 0.6) < 0.1 or abs(share - 0.4) < 0.1
    p = 0.6 if share > 0.5 else 0.4
    expected = p * kept + (1 - p) * dropped
    np.testing.assert_allclose(to_numpy(block(x)), expected, rtol=1e-4, atol=1e-5)


def test_impossible_rates_and_units_are_rejected():
    for rate in (-0.1, 1.0, float("nan"), "half"):
        with pytest.raises(InputError, match="Expected `rate`"):
            LayerDropout(rate)
    with pytest.raises(InputError, match="Did you mean 'sample'"):
        LayerDropout(0.1, unit="samples")
    with pytest.raises(InputError, match="carries its input"):
        Block(8, gating="plain", layer_dropout=0.1)
