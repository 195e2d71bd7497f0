"""Moving statistics are the means of each batch's own statistics, whatever was collected before."""

import keras
import numpy as np
import pytest

from keras_unrolled.models import batch_statistics
from tests.nets import make_net, randomize


@pytest.fixture
def net():
    """A normalization before a convolution and another one."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(momentum=0.7),
        ]
    )
    randomize(model)
    return model


def test_statistics_are_the_means_over_the_batches(net, rng):
    batches = rng.normal(3, 2, (5, 8, 6, 6, 3)).astype("float32")
    remaining = iter(batches)

    def run_batch():
        net(next(remaining), training=True)
        return [keras.ops.convert_to_numpy(v) for v in batch_statistics.statistics(net)]

    batch_statistics.recompute_batch_statistics(net, run_batch, len(batches))
    first, conv, second = net.layers
    means, variances = batches.mean((1, 2, 3)), batches.var((1, 2, 3))
    np.testing.assert_allclose(first.moving_mean, means.mean(0), rtol=1e-5)
    np.testing.assert_allclose(first.moving_variance, variances.mean(0), rtol=1e-5)
    features = []
    for batch, mean, variance in zip(batches, means, variances):
        gamma, beta = np.asarray(first.gamma), np.asarray(first.beta)
        x = (batch - mean) / np.sqrt(variance + first.epsilon) * gamma + beta
        features.append(np.asarray(conv(x)))
    expected = [np.mean([f.mean((0, 1, 2)) for f in features], 0)]
    expected.append(np.mean([f.var((0, 1, 2)) for f in features], 0))
    np.testing.assert_allclose(second.moving_mean, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second.moving_variance, expected[1], rtol=1e-4)


def test_momentum_is_restored_even_after_an_error(net):
    def run_batch():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        batch_statistics.recompute_batch_statistics(net, run_batch, 1)
    assert [layer.momentum for layer in batch_statistics.normalizations(net)] == [0.9, 0.7]


def test_network_without_batch_normalization_runs_no_batch():
    model = make_net("group")
    batch_statistics.recompute_batch_statistics(model, pytest.fail, 3)
    assert batch_statistics.statistics(model) == []


def test_normalizations_of_gates_and_projections_are_found():
    # Two for each of H and T in three blocks, one projection, one stem.
    assert len(batch_statistics.normalizations(make_net("coupled"))) == 2 * 2 * 3 + 1 + 1
