"""Whether a processor that is slow in a precision is named."""

import io
import time

import pytest
import tensorflow as tf

from keras_unrolled.engine.tensorflow import precision

CPU = ["CPU"]


def note(policy, devices):
    out = io.StringIO()
    precision.note_slow_precision(policy, devices, out)
    return out.getvalue()


def time_gradient(dtype):
    """Seconds of a larger convolution and its gradient, called without a graph."""
    images, kernel = tf.ones((64, 16, 16, 32), dtype), tf.ones((3, 3, 32, 32), dtype)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            maps = tf.nn.conv2d(images, kernel, 1, "SAME")
        tape.gradient(maps, kernel).numpy()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def test_slow_precision_is_named_where_it_is_slow():
    slowdown = time_gradient("bfloat16") / time_gradient("float32")
    if 0.8 < slowdown < 3:
        pytest.skip(
            f"bfloat16 takes {slowdown:.1f} times as long as float32: neither fast nor slow"
        )
    said = note("mixed_bfloat16", CPU)
    assert ("precision=float32" in said) == (slowdown >= 3)


@pytest.mark.parametrize(
    ("policy", "devices"), [("float32", CPU), ("mixed_bfloat16", ["CPU", "GPU"])]
)
def test_nothing_is_said_of_float32_or_of_a_gpu(policy, devices):
    assert note(policy, devices) == ""
