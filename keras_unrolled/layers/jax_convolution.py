"""A 3x3 convolution with a quicker gradient, for JAX on a CPU.

XLA computes the kernel's gradient as a convolution whose kernel is a feature map. With 16 channels, as
in the first stage of the CIFAR nets, nine products of matrices take half of that time; with 32 or
more they take longer.
"""

import jax
import jax.numpy as jnp

MOST_CHANNELS = 16


def is_faster(inputs, kernel):
    """Whether `convolve` is quicker than XLA's convolution with stride 1."""
    return (
        kernel.shape[:2] == (3, 3)
        and max(kernel.shape[2:]) <= MOST_CHANNELS
        and inputs.dtype == kernel.dtype == jnp.float32
        and jax.default_backend() == "cpu"
    )


@jax.custom_vjp
def convolve(inputs, kernel):
    """A convolution of `(batch, height, width, channels)`, zeros around, stride 1."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(inputs, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def _forward(inputs, kernel):
    return convolve(inputs, kernel), (inputs, kernel)


def _backward(saved, gradient):
    inputs, kernel = saved
    rows, columns, outputs = gradient.shape[1:]
    padded = jnp.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    flat = gradient.reshape(-1, outputs)
    products = [
        padded[:, i : i + rows, j : j + columns].reshape(-1, inputs.shape[-1]).T @ flat
        for i in range(3)
        for j in range(3)
    ]
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return convolve(gradient, turned), jnp.stack(products).reshape(kernel.shape)


convolve.defvjp(_forward, _backward)
