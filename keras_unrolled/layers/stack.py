"""Convolutions with their normalization and activations: H, or a gate as deep as H."""

import math

import keras
from keras import ops

from keras_unrolled.layers.convolution import SymmetricConv2D
from keras_unrolled.layers.initial import kernel_initializer
from keras_unrolled.layers.normalization import convolve_and_normalize, make_normalization


@keras.saving.register_keras_serializable(package="keras_unrolled")
class Stack(keras.layers.Layer):
    """Convolutions with normalization and activations between them: H, or a gate as deep as H.

    Post-activation: conv-norm-relu-...-conv-norm. Pre-activation, whose input has been
    normalized and rectified already: conv-norm-relu-...-conv.

    Args:
        filters: sequence of int, output channels of each convolution.
        kernel_sizes: sequence of int, one for each convolution.
        strides: sequence of int, one for each convolution.
        normalization: "batch", "group", "folded" (a bias for every convolution that batch
            normalization would follow) or None (a bias for every convolution).
        activation_order: "post" or "pre".
        output_bias: optional float. If given, the stack ends in a shift by a bias with this
            initial value, the bias of a gate; it belongs to the last normalization or convolution.
        momentum: float, of batch normalization's moving statistics.
        epsilon: float, of the normalization.

    Input: `(batch, height, width, channels)`. Output: `(batch, height / s, width / s,
    filters[-1])` with s the product of the strides, sizes rounded up.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> stack = ku.layers.Stack(filters=(8, 16), kernel_sizes=(3, 3), strides=(2, 1))
        >>> tuple(stack(keras.ops.ones((1, 8, 8, 3))).shape)
        (1, 4, 4, 16)
    """

    def __init__(
        self,
        *,
        filters,
        kernel_sizes,
        strides,
        normalization="batch",
        activation_order="post",
        output_bias=None,
        momentum=0.9,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.kernel_sizes = tuple(kernel_sizes)
        self.strides = tuple(strides)
        self.normalization = normalization
        self.activation_order = activation_order
        self.output_bias = output_bias
        self.momentum = momentum
        self.epsilon = epsilon

        post = activation_order == "post"
        bias = 0.0 if output_bias is None else output_bias
        self.convs, self.norms = [], []
        for i, (width, size, stride) in enumerate(zip(filters, kernel_sizes, strides), start=1):
            last = i == len(self.filters)
            shifts = last and output_bias is not None and not post
            folded = normalization == "folded" and (post or not last)
            self.convs.append(
                SymmetricConv2D(
                    width,
                    size,
                    strides=stride,
                    use_bias=normalization is None or shifts or folded,
                    bias_initializer=keras.initializers.Constant(bias if last else 0.0),
                    kernel_initializer=kernel_initializer(),
                    dtype=self.dtype_policy,
                    name=f"conv{i}",
                )
            )
            if post or not last:
                norm = make_normalization(
                    normalization,
                    width,
                    momentum=momentum,
                    epsilon=epsilon,
                    beta=bias if last else 0.0,
                    dtype=self.dtype_policy,
                    name=f"norm{i}",
                )
                self.norms += [norm] if norm is not None else []

    def build(self, input_shape):
        shape = tuple(input_shape)
        for i, conv in enumerate(self.convs):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            if i < len(self.norms):
                self.norms[i].build(shape)
        self.built = True

    def call(self, x, training=None):
        for i, conv in enumerate(self.convs):
            norm = self.norms[i] if i < len(self.norms) else None
            x = convolve_and_normalize(conv, norm, x, training)
            if i + 1 < len(self.convs):
                x = ops.relu(x)
        return x

    def compute_output_shape(self, input_shape):
        for conv in self.convs:
            input_shape = conv.compute_output_shape(input_shape)
        return input_shape

    @property
    def output_layer(self):
        """The layer that ends the stack: a normalization or a convolution."""
        return self.norms[-1] if len(self.norms) == len(self.convs) else self.convs[-1]

    def is_constant(self):
        """Whether the output does not depend on the input, as in a gate that was regated."""
        last = self.output_layer
        scale = last.kernel if hasattr(last, "kernel") else last.gamma
        return not ops.convert_to_numpy(scale.value).any()

    def count_macs(self, input_shape):
        """Multiply-accumulates of the convolutions for one example of `(1, h, w, c)`."""
        macs = 0
        for conv in self.convs:
            channels, input_shape = input_shape[-1], conv.compute_output_shape(input_shape)
            macs += math.prod(input_shape[1:]) * math.prod(conv.kernel_size) * channels
        return macs

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "strides": self.strides,
            "normalization": self.normalization,
            "activation_order": self.activation_order,
            "output_bias": self.output_bias,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
