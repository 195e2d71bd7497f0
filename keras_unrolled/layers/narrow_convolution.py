"""A 3x3 convolution with a quicker gradient, for JAX on a CPU.

XLA computes the kernel's gradient as a convolution whose kernel is a feature map. With 16 channels, as
in the first stage of the CIFAR nets, nine products of matrices take half of that time; with 32 or
more they take longer.
"""

import keras
from keras import ops

MOST_CHANNELS = 16


def is_faster(inputs, kernel):
    """Whether `convolve` is quicker than the backend's convolution with stride 1."""
    if keras.backend.backend() != "jax" or kernel.shape[:2] != (3, 3):
        return False
    import jax

    dtypes = {keras.backend.standardize_dtype(x.dtype) for x in (inputs, kernel)}
    return (
        max(kernel.shape[2:]) <= MOST_CHANNELS
        and dtypes == {"float32"}
        and jax.default_backend() == "cpu"
    )


@ops.custom_gradient
def convolve(inputs, kernel):
    """A convolution of `(batch, height, width, channels)`, zeros around, stride 1."""

    def gradient(*arguments, upstream=None):
        (upstream,) = arguments if upstream is None else (upstream,)
        rows, columns, outputs = upstream.shape[1:]
        padded = ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
        flat = ops.reshape(upstream, (-1, outputs))
        products = []
        for i in range(3):
            for j in range(3):
                shifted = padded[:, i : i + rows, j : j + columns]
                pixels = ops.reshape(shifted, (-1, inputs.shape[-1]))
                products.append(ops.matmul(ops.transpose(pixels), flat))
        turned = ops.swapaxes(ops.flip(kernel, (0, 1)), 2, 3)
        return _conv(upstream, turned), ops.reshape(ops.stack(products), kernel.shape)

    return _conv(inputs, kernel), gradient


def _conv(inputs, kernel):
    return ops.conv(inputs, kernel, 1, "same", data_format="channels_last")
