"""Normalization layers: batch normalization on fused kernels, and the choice of a layer by name."""

import math

import keras
from keras import ops

# Group normalization with 16 channels a group does as well as the best of its neighbors
# (Wu & He 2018, table 3), and suits widths in multiples of 16.
CHANNELS_PER_GROUP = 16
# Of `normalization`, besides None: "folded" is batch normalization that is part of the convolution
# before it, as `convert.fold` makes it.
NORMALIZATIONS = ("batch", "group", "folded")


@keras.saving.register_keras_serializable(package="keras_unrolled")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that calls the backend's fused kernel.

    Weights, configuration and results are those of Keras's layer, which computes moments
    and normalizes in a dozen separate operations, and in float32 under mixed precision. The
    fused kernels of TensorFlow and torch read the input once in its own dtype and keep
    statistics in float32. Where no fused kernel fits (JAX, float64, masks, `synchronized`,
    `renorm`, inputs that are not `(batch, height, width, channels)`), Keras's own code runs.

    `synchronized` is read at each call, so that a training loop may switch it on for
    several replicas without changing a preset's configuration.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> layer = ku.layers.BatchNormalization()
        >>> tuple(layer(keras.ops.ones((2, 4, 4, 8)), training=True).shape)
        (2, 4, 4, 8)
    """

    def call(self, inputs, training=None, mask=None):
        kernel = _FUSED.get(keras.backend.backend())
        stock = mask is not None or self.synchronized or self.renorm or self.axis not in (-1, 3)
        narrow = keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
        if kernel is None or stock or not narrow or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        use_batch = bool(training and self.trainable)
        channels = inputs.shape[-1]
        # Read without autocast: statistics and affine weights stay in float32.
        gamma = ops.cast(self.gamma, "float32") if self.scale else ops.ones((channels,), "float32")
        beta = ops.cast(self.beta, "float32") if self.center else ops.zeros((channels,), "float32")
        mean = ops.cast(self.moving_mean, "float32")
        variance = ops.cast(self.moving_variance, "float32")
        outputs, batch_mean, batch_variance = kernel(
            inputs, gamma, beta, mean, variance, self.epsilon, use_batch
        )
        if use_batch:
            keep = self.momentum
            self.moving_mean.assign(mean * keep + batch_mean * (1.0 - keep))
            self.moving_variance.assign(variance * keep + batch_variance * (1.0 - keep))
        return ops.cast(outputs, self.compute_dtype)


def convolve_and_normalize(conv, norm, x, training=None):
    """The output of a convolution with the normalization after it, if there is one.

    A batch normalization that does not learn is an affine map, and is made part of the kernel. While
    others train around it, as in fine-tuning, a step takes a tenth less processor time so; and in
    TensorFlow 2.21 a convolution of one image with a fused normalization takes up to forty times as
    long as without (oneDNN on a processor without AVX-512).

    Args:
        conv: a built `SymmetricConv2D`.
        norm: a built normalization, or None.
        x: tensor `(batch, height, width, channels)` in the compute dtype.
        training: bool, mode of the normalization.

    Returns:
        A tensor `(batch, height / strides, width / strides, filters)` in the compute dtype.
    """
    if norm is None:
        return conv(x)
    learns = training and norm.trainable
    by_kernel = training or keras.backend.backend() == "tensorflow"
    if learns or not by_kernel or not isinstance(norm, keras.layers.BatchNormalization):
        return norm(conv(x), training=training)
    wide = conv.variable_dtype
    factor = ops.rsqrt(ops.cast(norm.moving_variance, wide) + norm.epsilon)
    factor = factor * ops.cast(norm.gamma, wide)
    shift = -ops.cast(norm.moving_mean, wide)
    if conv.bias is not None:
        shift = shift + ops.cast(conv.bias, wide)
    shift = ops.cast(norm.beta, wide) + shift * factor
    kernel = ops.cast(ops.cast(conv.kernel, wide) * factor, conv.compute_dtype)
    return conv.convolution_op(x, kernel) + ops.cast(shift, conv.compute_dtype)


def _fused_tensorflow(x, gamma, beta, mean, variance, epsilon, training):
    import tensorflow as tf

    # In training the kernel takes its own.
    mean, variance = (tf.zeros((0,), "float32"),) * 2 if training else (mean, variance)
    y, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=training,
    )
    if not training:
        return y, mean, variance
    # The kernel states the unbiased variance; Keras's moving statistics keep the biased one.
    count = tf.cast(tf.size(x, out_type=tf.int64) // x.shape[-1], "float32")
    return y, batch_mean, batch_variance * (count - 1.0) / count


def _fused_torch(x, gamma, beta, mean, variance, epsilon, training):
    import torch

    x = x.permute(0, 3, 1, 2)  # a view: torch takes channels-last strides as they are
    count = x.numel() // x.shape[1]
    if training and count == 1:  # torch refuses it; the moments of one value are known
        centered = torch.zeros_like(x) + beta.to(x.dtype).reshape(1, -1, 1, 1)
        value = x.detach().float().reshape(-1)
        return centered.permute(0, 2, 3, 1), value, torch.zeros_like(value)
    if training:  # momentum 1 leaves the batch's own moments in the buffers
        mean, variance = torch.zeros_like(mean), torch.ones_like(variance)
    y = torch.nn.functional.batch_norm(
        x, mean, variance, gamma, beta, training=training, momentum=1.0, eps=epsilon
    )
    if training:
        variance = variance * ((count - 1) / count)
    return y.permute(0, 2, 3, 1), mean, variance


_FUSED = {"tensorflow": _fused_tensorflow, "torch": _fused_torch}


def make_normalization(kind, filters, *, momentum, epsilon, beta=0.0, dtype=None, name=None):
    """The normalization layer called `kind`, or None.

    Args:
        kind: "batch", "group" (16 channels a group where `filters` allows), "folded" or None.
        filters: int, channels that it will normalize.
        momentum: float, of batch normalization's moving statistics.
        epsilon: float, added to the variance.
        beta: float, initial value of the shift.
        dtype: dtype policy.
        name: the layer's name.

    Returns:
        A Keras layer, or None where `kind` is "folded" or None.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.layers.make_normalization("group", 32, momentum=0.9, epsilon=1e-5).groups
        2
    """
    shift = keras.initializers.Constant(beta)
    if kind == "batch":
        return BatchNormalization(
            momentum=momentum, epsilon=epsilon, beta_initializer=shift, dtype=dtype, name=name
        )
    if kind == "group":
        groups = filters // math.gcd(CHANNELS_PER_GROUP, filters)
        return keras.layers.GroupNormalization(
            groups, epsilon=epsilon, beta_initializer=shift, dtype=dtype, name=name
        )
    return None


def unfolded(kind):
    """The normalization where no convolution comes before: "batch" where `kind` is "folded"."""
    return "batch" if kind == "folded" else kind
