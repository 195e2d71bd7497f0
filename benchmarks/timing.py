"""What is timed, and how: ours and the peer in turn."""

import statistics
import time

import keras
import tensorflow as tf

from keras_unrolled.layers.fused_mix import fused_mixing


def training_step(model, batch, side):
    """A function that takes one step of SGD on random images of `side` pixels."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    images = tf.random.normal((batch, side, side, 3))
    labels = tf.random.uniform((batch,), 0, model.output.shape[-1], tf.int32)

    @tf.function(jit_compile=False)
    def step():
        with fused_mixing(), tf.GradientTape() as tape:  # as the loop of training has it
            logits = tf.cast(model(images, training=True), "float32")
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return step


def prediction(model, batch, side):
    """A function that scores one batch of random images of `side` pixels."""
    images = tf.random.normal((batch, side, side, 3))

    @tf.function(jit_compile=False)
    def predict():
        with fused_mixing():  # as `predict` has it
            return model(images, training=False)

    return predict


def compete(ours, peer, count, rounds):
    """Calls two functions in turn, each of which handles `count` images."""
    for step in (ours, peer):
        for _ in range(2):  # trace, then touch the memory
            step()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for step, taken in zip((ours, peer), seconds):
            began = time.perf_counter()
            step()
            taken.append(time.perf_counter() - began)
    return [count / statistics.median(taken) for taken in seconds]


def find_ceiling(dtype, size=2_048, rounds=10):
    """Floating-point operations a second of a matrix product, the most that a network could reach."""
    a, b = (tf.cast(tf.random.normal((size, size)), dtype) for _ in range(2))
    multiply = tf.function(lambda: tf.matmul(a, b)[0, 0], jit_compile=False)
    seconds = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        multiply().numpy()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(seconds[2:])
