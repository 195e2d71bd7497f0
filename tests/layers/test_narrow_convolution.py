"""The convolution for JAX on a CPU, compared with the definition and with TensorFlow's gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.layers import narrow_convolution
from tests.layers.test_convolution import reference


@pytest.mark.parametrize("channels", [(3, 16), (16, 16), (5, 2)])
@pytest.mark.parametrize("side", [1, 8])
def test_value_and_both_gradients_equal_those_of_the_definition(channels, side, rng):
    inputs = tf.constant(rng.normal(size=(2, side, side + 1, channels[0])), "float32")
    kernel = tf.constant(rng.normal(size=(3, 3, *channels)), "float32")
    weights = tf.constant(rng.normal(size=(2, side, side + 1, channels[1])), "float32")

    def differentiate(convolve):
        with tf.GradientTape() as tape:
            tape.watch((inputs, kernel))
            value = convolve(inputs, kernel)
            total = tf.reduce_sum(value * weights)
        return value, tape.gradient(total, (inputs, kernel))

    value, gradients = differentiate(narrow_convolution.convolve)
    expected = reference(inputs.numpy(), kernel.numpy(), 1)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    _, theirs = differentiate(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
    for found, wanted in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "dtype", "wanted"),
    [
        ((3, 3, 16, 16), "float32", True),
        ((3, 3, 16, 32), "float32", False),
        ((1, 1, 16, 16), "float32", False),
        ((3, 3, 16, 16), "bfloat16", False),
    ],
)
def test_it_is_used_where_it_was_measured_to_be_faster(shape, dtype, wanted, monkeypatch):
    import jax

    inputs, kernel = keras.ops.zeros((1, 4, 4, shape[2]), dtype), keras.ops.zeros(shape, dtype)
    assert not narrow_convolution.is_faster(inputs, kernel)  # on TensorFlow
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    on_cpu = jax.default_backend() == "cpu"
    assert narrow_convolution.is_faster(inputs, kernel) == (wanted and on_cpu)
