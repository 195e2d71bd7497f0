"""Gates, mix and ReLU of a block as one kernel, for TensorFlow on a CPU.

TensorFlow runs them as a dozen operations, each of which reads and writes whole feature maps, half of
them in float32 under mixed precision. XLA makes one loop of them. For convolutions it is slower than
oneDNN, so that it compiles this part only. JAX fuses operations by itself.

A function that is exported must not contain it: TensorFlow Serving and converters have no XLA. So it is
used inside `fused_mixing()` only, in which training loops and `predict` trace their functions.
"""

import contextlib
import contextvars
import functools
import sys

import keras

from keras_unrolled.layers.mixing import GATINGS, gate_activation, mix

# Elements of a feature map from which the kernel saves more than compiling it for one more shape costs
# (about 0.1 s): with known shapes, that is in a training step, and with any.
LEAST_KNOWN, LEAST = 2**14, 2**20

_active = contextvars.ContextVar("fused_mixing", default=False)


@contextlib.contextmanager
def fused_mixing(wanted=True):
    """Lets blocks that are traced inside use the kernel where it is faster, if that is wanted."""
    usable = wanted and keras.backend.backend() == "tensorflow" and _only_cpu()
    token = _active.set(usable)
    try:
        yield
    finally:
        _active.reset(token)


def is_faster(gating, x):
    """Whether a block uses the kernel.

    Args:
        gating: string, a key of `GATINGS`.
        x: tensor `(batch, height, width, channels)`, the block's shortcut.
    """
    if not _active.get() or not GATINGS[gating].carries:
        return False
    import tensorflow as tf

    if tf.executing_eagerly() or not isinstance(x, tf.Tensor):
        return False
    known = x.shape.num_elements()
    # A sum alone is two operations, which gain in bfloat16 only.
    return (known is None or known >= LEAST_KNOWN) and (
        bool(GATINGS[gating].free) or x.dtype == tf.bfloat16
    )


def fused_mix(gating, relu, h, x, gates):
    """`relu(h * T + x * C)` or without the ReLU, as `mix` computes it.

    Args:
        gating: string, a key of `GATINGS`.
        relu: bool, whether a ReLU follows.
        h: tensor `(batch, height, width, channels)`, the transform H(x).
        x: tensor of `h`'s shape and dtype, the shortcut.
        gates: list of the pre-activations of the free gates, T's before C's, of `h`'s shape.

    Returns:
        A tensor of `x`'s shape and dtype.
    """
    import tensorflow as tf

    forward, backward, plain = _functions(gating, relu)

    @tf.custom_gradient
    def fused(*inputs):
        return forward(*inputs), lambda dy: backward(dy, *inputs)

    inputs = (h, x, *gates)
    if x.shape.num_elements() is not None:
        return fused(*inputs)
    y = tf.cond(tf.size(x) >= LEAST, lambda: fused(*inputs), lambda: plain(*inputs))
    y.set_shape(x.shape)
    return y


@functools.cache
def _functions(gating, relu):
    """The mix and its gradient, compiled, and the mix as it is."""
    import tensorflow as tf

    names = GATINGS[gating].free

    def plain(h, x, *gates):
        opened = {name: gate_activation(gate) for name, gate in zip(names, gates)}
        y = mix(gating, h, x, **opened)
        return keras.ops.relu(y) if relu else y

    # The gradient begins from the inputs: to read them again costs less than to keep what lies between.
    def gradient(dy, *inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = plain(*inputs)
        return tape.gradient(y, inputs, dy)

    compiled = functools.partial(tf.function, jit_compile=True, autograph=False)
    return compiled(plain), compiled(gradient), plain


@functools.cache
def _only_cpu():
    """Whether this is a machine for which the kernel was measured: without accelerators."""
    import tensorflow as tf

    devices = {device.device_type for device in tf.config.list_logical_devices()}
    return devices == {"CPU"} and sys.platform != "win32"  # where TensorFlow has no XLA
