"""Measures speed against peers in the same run and writes one CSV.

    python -m benchmarks --out DIR [--only NAME ...] [--photographs DIR]

Ours and the peer take turns, so that a busy machine slows both; figures are medians, in
images a second (of gatings in millions of multiply-accumulates a second). A ratio above 1 is in our
favour. "share_of_ceiling" compares ours with a matrix product: operations a second of the
convolutions or products over those that the machine reaches in a product of 2,048 x 2,048. "memory_mib" and "peer_memory_mib" are the most memory
that a process needs for a network and a few steps, in MiB above what Keras needs. The input benchmark reads a folder of class
folders of photographs, and is left out without one.
"""

import argparse
import functools
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import language, memory, microscope
from benchmarks.cases import CASES
from benchmarks.tables import write_rows
from benchmarks.timing import compete, find_ceiling
from keras_unrolled import models
from keras_unrolled.data.crops import AREA, ASPECT
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.data.sources import read_class_folders
from keras_unrolled.data.streams import crop_batches
from keras_unrolled.engine import ImageRecipe
from keras_unrolled.engine.optimizers import make_optimizer
from keras_unrolled.engine.tensorflow.loop import STEPS_PER_CALL
from keras_unrolled.engine.tensorflow.step import make_step
from keras_unrolled.environment import hardware


def training_loop(dtype, rounds):
    """Forty steps of ResNet-20 by the loop of `training/`, and by `fit`; data in memory."""
    batch, steps = 128, 40
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch * steps, 32, 32, 3)).astype("float32")
    labels = rng.integers(0, 10, batch * steps)
    recipe = ImageRecipe(
        network={},
        epochs=1_000,
        batch_size=batch,
        momentum=0.9,
        label_smoothing=0.05,
        precision=dtype,
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
    parser.add_argument("--memory", action="store_true", help="also measure the peak memory")
    parser.add_argument("--text", type=Path, metavar="DIR", help="train.txt and valid.txt")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    work: dict[str, Any] = {name: case.measure for name, case in CASES.items()}
    for dtype in ("float32", "mixed_bfloat16"):
        work[f"training loop, ResNet-20, peer: Model.fit, {dtype}"] = functools.partial(
            training_loop, dtype
        )
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
            row = {"benchmark": name, "ours": round(ours, 1), "peer": round(peer, 1)}
            row |= {"ratio": round(ours / peer, 2), "n": options.rounds, "machine": hardware()}
            dtype = "bfloat16" if "bfloat16" in name else "float32"
            shares = [round(ours * each / find_ceiling(dtype), 2) for each in operations]
            peaks = memory.compare(name) if options.memory and name in CASES else []
            row["share_of_ceiling"] = shares[0] if shares else ""
            row["memory_mib"], row["peer_memory_mib"] = peaks or ("", "")
            rows.append(row)
            print(*row.values(), sep="\t", file=sys.stderr, flush=True)
            write_rows(options.out / "benchmarks.csv", rows)


if __name__ == "__main__":
    main()
