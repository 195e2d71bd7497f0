import keras
import numpy as np
import pytest

from keras_unrolled.layers import SymmetricConv2D


def reference(x, kernel, stride):
    """A convolution with equal padding on every side, by its definition."""
    k = kernel.shape[0]
    x = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)])
    rows = range(0, x.shape[1] - k + 1, stride)
    columns = range(0, x.shape[2] - k + 1, stride)
    return np.stack(
        [
            np.stack(
                [np.einsum("bhwc,hwcf->bf", x[:, i : i + k, j : j + k], kernel) for j in columns], 1
            )
            for i in rows
        ],
        1,
    )


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [8, 9])
def test_padding_is_symmetric_at_every_stride(size, stride, side, rng):
    x = rng.normal(size=(2, side, side, 3)).astype("float32")
    layer = SymmetricConv2D(4, size, strides=stride, use_bias=False)
    y = keras.ops.convert_to_numpy(layer(x))
    expected = reference(x, keras.ops.convert_to_numpy(layer.kernel), stride)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("channels", [4, 8, 16])
def test_gradient_of_a_strided_1x1_kernel_equals_numpy(channels, rng):
    # TensorFlow's own crashes for few channels: see FEW_CHANNELS.
    x = rng.normal(size=(8, 56, 56, channels)).astype("float32")
    layer = SymmetricConv2D(8, 1, strides=2, use_bias=False)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse", jit_compile=False)
    before = keras.ops.convert_to_numpy(layer.kernel)
    model.train_on_batch(x, np.zeros((8, 28, 28, 8), "float32"))
    strided = x[:, ::2, ::2].reshape(-1, channels).astype("float64")
    y = strided @ before[0, 0]
    step = 2 * strided.T @ y / y.size
    after = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose((before - after)[0, 0], step, rtol=1e-3, atol=1e-6)
