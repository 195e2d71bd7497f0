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
