"""The convolution for JAX on a CPU, compared with the definition and with XLA's gradient."""

import jax
import numpy as np
import pytest

from keras_unrolled.layers import jax_convolution
from tests.layers.test_convolution import reference


def xla(inputs, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers)


@pytest.mark.parametrize("channels", [(3, 16), (16, 16), (5, 2)])
@pytest.mark.parametrize("side", [1, 8])
def test_value_and_both_gradients_equal_those_of_the_definition(channels, side, rng):
    inputs = rng.normal(size=(2, side, side + 1, channels[0])).astype("float32")
    kernel = rng.normal(size=(3, 3, *channels)).astype("float32")
    weights = rng.normal(size=(2, side, side + 1, channels[1])).astype("float32")
    value, gradients = jax.vjp(jax_convolution.convolve, inputs, kernel)
    np.testing.assert_allclose(value, reference(inputs, kernel, 1), rtol=1e-4, atol=1e-5)
    expected = jax.vjp(xla, inputs, kernel)[1](weights)
    for ours, theirs in zip(gradients(weights), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "dtype", "wanted"),
    [
        ((3, 3, 16, 16), "float32", True),
        ((3, 3, 16, 32), "float32", False),
        ((1, 1, 16, 16), "float32", False),
        ((3, 3, 16, 16), "bfloat16", False),
    ],
)
def test_it_is_used_where_it_was_measured_to_be_faster(shape, dtype, wanted):
    inputs = jax.numpy.zeros((1, 4, 4, shape[2]), dtype)
    on_cpu = jax.default_backend() == "cpu"
    assert jax_convolution.is_faster(inputs, jax.numpy.zeros(shape, dtype)) == (wanted and on_cpu)
