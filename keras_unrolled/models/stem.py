"""The layers before the first block."""

import math

import keras
from keras import ops

from keras_unrolled.layers.convolution import SymmetricConv2D
from keras_unrolled.layers.initial import kernel_initializer
from keras_unrolled.layers.normalization import convolve_and_normalize, make_normalization


@keras.saving.register_keras_serializable(package="keras_unrolled")
class Stem(keras.layers.Layer):
    """The layers before the first block.

    `imagenet`: 7x7 convolution with stride 2, norm, ReLU, 3x3 max pooling with stride 2;
    `cifar`: 3x3 convolution, norm, ReLU (He et al. 2015, table 1 and section 4.2). In
    pre-activation norm and ReLU belong to the first block and are left out here.

    Args:
        kind: "imagenet" or "cifar".
        filters: int, output channels.
        normalization: "batch", "group", "folded" or None.
        activation_order: "post" or "pre".
        momentum: float, of batch normalization's moving statistics.
        epsilon: float, of the normalization.

    Input: `(batch, height, width, channels)`. Output: `(batch, height / s, width / s,
    filters)` with s = 4 for imagenet and 1 for cifar, sizes rounded up.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> stem = ku.models.Stem(kind="cifar", filters=16)
        >>> tuple(stem(keras.ops.ones((1, 32, 32, 3))).shape)
        (1, 32, 32, 16)
    """

    def __init__(
        self,
        kind,
        filters,
        *,
        normalization="batch",
        activation_order="post",
        momentum=0.9,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kind = kind
        self.filters = filters
        self.normalization = normalization
        self.activation_order = activation_order
        self.momentum = momentum
        self.epsilon = epsilon
        size, strides = (7, 2) if kind == "imagenet" else (3, 1)
        folded = normalization == "folded" and activation_order == "post"
        self.conv = SymmetricConv2D(
            filters,
            size,
            strides=strides,
            use_bias=normalization is None or folded,
            kernel_initializer=kernel_initializer(),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = None
        if activation_order == "post":
            self.norm = make_normalization(
                normalization,
                filters,
                momentum=momentum,
                epsilon=epsilon,
                dtype=self.dtype_policy,
                name="norm",
            )

    def build(self, input_shape):
        self.conv.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, x, training=None):
        x = convolve_and_normalize(self.conv, self.norm, x, training)
        if self.activation_order == "post":
            x = ops.relu(x)
        if self.kind == "imagenet":
            # The border must never win: a pre-activated stem has negative values. After a ReLU 0 is
            # low enough, and has a place among the 256 values of a network that is quantized.
            lowest = 0.0 if self.activation_order == "post" else -math.inf
            x = ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=lowest)
            x = ops.max_pool(x, 3, strides=2, padding="valid", data_format="channels_last")
        return x

    def compute_output_shape(self, input_shape):
        batch, *sizes, filters = self.conv.compute_output_shape(input_shape)
        if self.kind == "imagenet":
            sizes = [None if size is None else -(-size // 2) for size in sizes]
        return (batch, *sizes, filters)

    def count_macs(self, input_shape):
        """Multiply-accumulates of the convolution for one example of `(1, h, w, c)`."""
        positions = math.prod(self.conv.compute_output_shape(input_shape)[1:])
        return positions * math.prod(self.conv.kernel_size) * input_shape[-1]

    def get_config(self):
        return {
            **super().get_config(),
            "kind": self.kind,
            "filters": self.filters,
            "normalization": self.normalization,
            "activation_order": self.activation_order,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
