"""Measures speed against peers in the same run and writes one CSV.

    python -m benchmarks --out DIR [--only NAME ...]

Ours and the peer take turns, so that a busy machine slows both; figures are medians, in
images a second. A ratio above 1 is in our favour.
"""

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf

from keras_unrolled import models
from keras_unrolled.layers import normalization
from keras_unrolled.presets.record import hardware


def training_step(model, batch, side):
    """A function that takes one step of SGD on random images of `side` pixels."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)
    images = tf.random.normal((batch, side, side, 3))
    labels = tf.random.uniform((batch,), 0, model.output.shape[-1], tf.int32)

    @tf.function(jit_compile=False)
    def step():
        with tf.GradientTape() as tape:
            logits = tf.cast(model(images, training=True), "float32")
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return step


def prediction(model, batch, side):
    """A function that scores one batch of random images of `side` pixels."""
    images = tf.random.normal((batch, side, side, 3))
    return tf.function(lambda: model(images, training=False), jit_compile=False)


def with_keras_normalization(build):
    """Builds a network whose normalisation runs Keras's own code."""

    def stock():
        model = build()
        for layer in model._flatten_layers():
            if isinstance(layer, normalization.BatchNormalization):
                layer.call = super(normalization.BatchNormalization, layer).call  # type: ignore
        return model

    return stock


def cifar(dtype):
    return lambda: models.resnet(20, dataset="cifar", dtype=dtype)


def peer_50(dtype):
    def build():
        keras.config.set_dtype_policy(dtype)
        try:
            return keras.applications.ResNet50(weights=None, classifier_activation=None)
        finally:
            keras.config.set_dtype_policy("float32")

    return build


def ours_50(dtype):
    return lambda: models.resnet(50, stride_conv=1, dtype=dtype)


# name: function to time, ours, the peer, batch, side
BENCHMARKS = {
    f"{name}, {dtype}": (work, ours(dtype), peer(dtype), batch, side)
    for dtype in ("float32", "mixed_bfloat16")
    for name, work, ours, peer, batch, side in (
        (
            "train ResNet-20, peer: same net, Keras's BatchNormalization",
            training_step,
            cifar,
            lambda dtype: with_keras_normalization(cifar(dtype)),
            128,
            32,
        ),
        ("train ResNet-50, peer: keras.applications", training_step, ours_50, peer_50, 8, 224),
        ("predict ResNet-50, peer: keras.applications", prediction, ours_50, peer_50, 8, 224),
    )
}


def measure(work, ours, peer, batch, side, rounds):
    """Images a second of ours and of the peer, medians over `rounds`."""
    steps = [work(build(), batch, side) for build in (ours, peer)]
    for step in steps:
        for _ in range(2):  # trace, then touch the memory
            step()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for step, taken in zip(steps, seconds):
            began = time.perf_counter()
            step().numpy()
            taken.append(time.perf_counter() - began)
    return [batch / statistics.median(taken) for taken in seconds]


def main():
    """Runs the benchmarks asked for and writes `benchmarks.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, benchmark in BENCHMARKS.items():
        if any(part in name for part in options.only):
            ours, peer = measure(*benchmark, options.rounds)
            row = (name, round(ours, 1), round(peer, 1), round(ours / peer, 2))
            rows.append((*row, options.rounds, hardware()))
            print(*row, sep="\t", file=sys.stderr)
    with (options.out / "benchmarks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["benchmark", "ours", "peer", "ratio", "n", "machine"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
