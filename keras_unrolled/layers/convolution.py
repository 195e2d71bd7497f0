"""The convolution of the published residual nets."""

import keras
from keras import ops

from keras_unrolled.layers.narrow_convolution import convolve, is_faster

# TensorFlow 2.21 on a CPU writes past its memory in the gradient of a strided 1x1 convolution of
# 8 channels or fewer (oneDNN). Without the stride it does not.
FEW_CHANNELS = 16


@keras.saving.register_keras_serializable(package="keras_unrolled")
class SymmetricConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` that pads `kernel_size // 2` zeros on every side.

    TensorFlow's `"same"` pads a strided convolution more at the end than at the start, so
    that weights of the published nets, which were trained with equal padding, would see
    every map shifted by a pixel. Output sizes are those of `"same"`: `ceil(size / stride)`.

    Takes the arguments of `keras.layers.Conv2D` but `padding`, `data_format` (always
    channels last), `dilation_rate` and `groups`; the kernel size must be odd.

    Input: `(batch, height, width, channels)`. Output: `(batch, height / stride,
    width / stride, filters)`, sizes rounded up.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> layer = ku.layers.SymmetricConv2D(8, 3, strides=2)
        >>> tuple(layer(keras.ops.ones((1, 7, 7, 3))).shape)
        (1, 4, 4, 8)
    """

    def __init__(self, filters, kernel_size, **kwargs):
        kwargs = {**kwargs, "padding": "same", "data_format": "channels_last"}
        super().__init__(filters, kernel_size, **kwargs)

    def convolution_op(self, inputs, kernel):
        pads = [size // 2 if step > 1 else 0 for size, step in zip(self.kernel_size, self.strides)]
        if not any(pads):
            if self.kernel_size == (1, 1) and inputs.shape[-1] < FEW_CHANNELS:
                rows, columns = self.strides
                inputs, strides = inputs[:, ::rows, ::columns], 1
                return ops.conv(inputs, kernel, strides, "valid", self.data_format)
            if self.strides == (1, 1) and is_faster(inputs, kernel):
                return convolve(inputs, ops.convert_to_tensor(kernel))
            return super().convolution_op(inputs, kernel)
        inputs = ops.pad(inputs, [(0, 0), *((pad, pad) for pad in pads), (0, 0)])
        return ops.conv(
            inputs,
            kernel,
            strides=list(self.strides),
            padding="valid",
            data_format=self.data_format,
        )
