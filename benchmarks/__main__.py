"""Measures speed against peers in the same run and writes one CSV.

    python -m benchmarks --out DIR [--only NAME ...] [--photographs DIR]

Ours and the peer take turns, so that a busy machine slows both; figures are medians, in
images a second (of gatings in millions of multiply-accumulates a second). A ratio above 1 is in our
favour. "share_of_ceiling" compares ours with a matrix product: operations a second of the
convolutions or products over those that the machine reaches in a product of 2,048 x 2,048. The input benchmark reads a folder of class
folders of photographs, and is left out without one.
"""

import argparse
import csv
import functools
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import gatings, language, microscope
from benchmarks.timing import compete, find_ceiling, prediction, training_step
from keras_unrolled import convert, models
from keras_unrolled.data.crops import AREA, ASPECT
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.data.sources import read_class_folders
from keras_unrolled.data.streams import crop_batches
from keras_unrolled.engine import ImageRecipe
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.tensorflow.loop import STEPS_PER_CALL
from keras_unrolled.engine.tensorflow.step import make_step
from keras_unrolled.environment import hardware
from keras_unrolled.layers import normalization


def with_keras_normalization(build):
    """Builds a network whose normalization runs Keras's own code."""

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


def folded_50(dtype):
    return lambda: convert.fold(ours_50(dtype)())


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
        *(
            (
                f"predict folded ResNet-50, batch {batch}, peer: keras.applications",
                prediction,
                folded_50,
                peer_50,
                batch,
                224,
            )
            for batch in (1, 8, 32)
        ),
    )
}


def measure(work, ours, peer, batch, side, rounds):
    """Images a second of ours and of the peer, medians over `rounds`, and operations for an image."""
    models_ = [build() for build in (ours, peer)]
    steps = [work(model, batch, side) for model in models_]
    rates = compete(lambda: steps[0]().numpy(), lambda: steps[1]().numpy(), batch, rounds)
    return [*rates, models_[0].count_macs((side, side)) * (6 if work is training_step else 2)]


def training_loop(rounds):
    """Forty steps of ResNet-20 by the loop of `training/`, and by `fit`; data in memory."""
    batch, steps = 128, 40
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch * steps, 32, 32, 3)).astype("float32")
    labels = rng.integers(0, 10, batch * steps)
    recipe = ImageRecipe(
        network={}, epochs=1_000, batch_size=batch, momentum=0.9, label_smoothing=0.05
    )
    models_ = [models.resnet(20, dataset="cifar", dtype=recipe.precision) for _ in range(2)]
    optimizer = make_optimizer(recipe, steps)
    optimizer.build(models_[0].trainable_variables)
    run = make_step(models_[0], optimizer, recipe, tf.distribute.get_strategy())
    stream = ImageBatches(
        images,
        labels,
        batch_size=batch,
        total_steps=recipe.epochs * steps,
        seed=0,
        shift_flip=False,
    )
    iterator = iter(stream(0))
    models_[1].preprocessor = None
    models_[1].compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
        metrics=["accuracy"],
        jit_compile=False,
    )
    targets = keras.utils.to_categorical(labels, 10)

    def ours():
        for _ in range(steps // STEPS_PER_CALL):
            run(iterator, tf.constant(STEPS_PER_CALL))[0].numpy()

    def peer():
        models_[1].fit(images, targets, batch_size=batch, verbose=0)

    return compete(ours, peer, batch * steps, rounds)


def input_pipeline(folder, rounds):
    """Training crops of 224 pixels, ours and a bare decode, crop and resize of TensorFlow."""
    source = read_class_folders(folder)
    size, batch, count = 224, 50, len(source) // 50 * 50
    recipe = ImageRecipe(
        network={}, batch_size=batch, epochs=100_000, size=size, augmentation="crop_flip"
    )
    stream = crop_batches(source, recipe)
    paths = tf.data.Dataset.from_tensor_slices([str(path) for path in source.paths])

    def bare(path):
        encoded = tf.io.read_file(path)
        begin, extent, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(encoded),
            tf.zeros((1, 0, 4)),
            min_object_covered=0.0,
            area_range=AREA,
            aspect_ratio_range=ASPECT,
            use_image_if_no_bounding_boxes=True,
        )
        box = tf.concat([begin[:2], extent[:2]], 0)
        return tf.image.resize(tf.io.decode_and_crop_jpeg(encoded, box, channels=3), (size, size))

    plain = paths.repeat().map(bare, num_parallel_calls=tf.data.AUTOTUNE)
    plain = plain.batch(batch).prefetch(tf.data.AUTOTUNE)
    passes = 5

    def take(dataset):  # from its start, so that nothing is read ahead in the other's turn
        for _ in dataset.take(passes * count // batch):
            pass

    return compete(lambda: take(stream(0)), lambda: take(plain), passes * count, rounds)


def main():
    """Runs the benchmarks asked for and writes `benchmarks.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="class folders of JPEGs")
    parser.add_argument("--text", type=Path, metavar="DIR", help="train.txt and valid.txt")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    work: dict[str, Any] = {
        name: functools.partial(measure, *benchmark) for name, benchmark in BENCHMARKS.items()
    }
    work |= {
        name: functools.partial(gatings.measure, *facts) for name, facts in gatings.GATED.items()
    }
    work["training loop, ResNet-20, peer: Model.fit"] = training_loop
    work["lesions, swaps and repeats of ResNet-20, peer: one rebuilt network each"] = (
        microscope.measure
    )
    if options.photographs:
        work["training crops of 224 pixels, peer: bare tf.io.decode_and_crop_jpeg and resize"] = (
            functools.partial(input_pipeline, options.photographs)
        )
    if options.text:
        for dtype in ("float32", "mixed_bfloat16"):
            work[f"train language model Small, peer: Keras's layers and fit, {dtype}"] = (
                functools.partial(language.train, options.text, dtype, compete)
            )
        for against, peer in (("ours", "the same"), ("keras", "Keras's layers and loss")):
            work[f"read text by a table of words, peer: {peer}, each word where it stands"] = (
                functools.partial(language.evaluate, options.text, against, compete)
            )
    for name, run in work.items():
        if any(part in name for part in options.only):
            ours, peer, *operations = run(rounds=options.rounds)
            row = [name, round(ours, 1), round(peer, 1), round(ours / peer, 2)]
            row += [options.rounds, hardware()]
            if operations:
                dtype = "bfloat16" if "bfloat16" in name else "float32"
                row.append(round(ours * operations[0] / find_ceiling(dtype), 2))
            rows.append(row)
            print(*row[:4], *row[6:], sep="\t", file=sys.stderr, flush=True)
    with (options.out / "benchmarks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["benchmark", "ours", "peer", "ratio", "n", "machine", "share_of_ceiling"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
