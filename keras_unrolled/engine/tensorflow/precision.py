"""Whether a processor is fast in the precision of a recipe."""

import functools
import sys
import time

import keras
import tensorflow as tf

# A processor with bfloat16 instructions takes half of the time, one without several times as long.
MOST_SLOWDOWN = 1.5


def note_slow_precision(policy: str, devices: list[str], stream=None) -> None:
    """Says so on standard error if float32 would be much faster on a processor.

    Args:
        policy: dtype policy of the training, such as "mixed_bfloat16".
        devices: kinds of the devices that compute, such as ["CPU"].
        stream: where it is written.
    """
    dtype = keras.dtype_policies.get(policy).compute_dtype
    if set(devices) != {"CPU"} or dtype not in ("bfloat16", "float16"):
        return
    slowdown = measure_slowdown(dtype)
    if slowdown > MOST_SLOWDOWN:
        print(
            f"This processor is slow in {dtype}: the gradient of a convolution takes "
            f"{slowdown:.0f} times as long as in float32. Stop, and train with precision=float32.",
            file=sys.stderr if stream is None else stream,
            flush=True,
        )


@functools.cache
def measure_slowdown(dtype: str) -> float:
    """The time of a convolution and its gradient in a dtype over that in float32, in about 0.2 s."""
    return _measure_seconds(dtype) / _measure_seconds("float32")


def _measure_seconds(dtype, rounds=3):
    images, kernel = tf.ones((16, 16, 16, 32), dtype), tf.ones((3, 3, 32, 32), dtype)

    @tf.function(jit_compile=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch((images, kernel))
            maps = tf.nn.conv2d(images, kernel, 1, "SAME")
        return tape.gradient(maps, (images, kernel))[1][0, 0, 0, 0]

    step().numpy()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        step().numpy()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
