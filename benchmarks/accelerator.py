"""Compares training on a device by our engine on JAX with Keras's layers and `fit`, in one run.

    KERAS_BACKEND=jax python -m benchmarks.accelerator --out DIR [--depth 20] [--seconds 10]

Both train a ResNet for CIFAR of the same architecture on the same random images in batches of 128
with mixed bfloat16. Ours also crops and flips; the peer trains on the images as they are. They
take turns; figures are medians, in images a second.
"""

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from keras_unrolled import models
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.engine import ImageRecipe, Job
from keras_unrolled.engine.jax import loop, sharding
from keras_unrolled.engine.jax.step import make_steps
from keras_unrolled.engine.objectives import classification
from keras_unrolled.environment import hardware

BATCH, EPOCH = 128, 100  # images and steps


def make_peer(depth: int, dtype: str = "mixed_bfloat16") -> Any:
    """He et al.'s ResNet for CIFAR (2015, section 4.2) of Keras's own layers."""
    layers = keras.layers

    def convolve(x, filters, strides=1, size=3):
        x = layers.Conv2D(
            filters,
            size,
            strides,
            "same",
            use_bias=False,
            kernel_initializer="he_normal",
            dtype=dtype,
        )(x)
        return layers.BatchNormalization(dtype=dtype)(x)

    images = keras.Input((32, 32, 3))
    x = layers.ReLU(dtype=dtype)(convolve(images, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            shortcut = x if strides == 1 else convolve(x, filters, strides, 1)
            y = layers.ReLU(dtype=dtype)(convolve(x, filters, strides))
            y = convolve(y, filters)
            x = layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([y, shortcut]))
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return keras.Model(images, layers.Dense(10, dtype="float32")(x))


def make_ours(depth, images, labels, workdir):
    """A function that takes an epoch by our engine, and the parameters of its network."""
    recipe = ImageRecipe(
        network={}, epochs=10_000, batch_size=BATCH, momentum=0.9, weight_decay=5e-4, ema=0.999
    )
    model = models.resnet(depth, dataset="cifar", dtype=recipe.precision)
    preprocess = model.preprocessor
    stream = ImageBatches(
        images,
        labels,
        batch_size=BATCH,
        total_steps=recipe.epochs * EPOCH,
        seed=0,
        preprocess=preprocess,
    )
    job = Job(
        recipe=recipe, build=lambda: model, stream=stream, steps_per_epoch=EPOCH, workdir=workdir
    )
    run = loop._Run(job, sharding.make_mesh(1), model)
    batches = run.batches
    steps = make_steps(model, run.optimizer, recipe, classification(recipe), batches)
    values = [tuple([v.value.copy() for v in group] for group in run.groups)]
    count = batches.steps_per_call

    def epoch():
        losses = None
        for first in range(0, EPOCH, count):
            values[0], losses, _ = steps(
                values[0], batches.table, batches.block(first, count), count
            )
        assert np.isfinite(np.asarray(losses)).all()

    return epoch, model.count_params()


def make_fit(depth, images, labels):
    """A function that takes an epoch by `fit`, and the parameters of its network."""
    model = make_peer(depth)
    model.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    inputs = images.astype("float32") / 255
    return lambda: model.fit(inputs, labels, batch_size=BATCH, verbose=0), model.count_params()


def main():
    """Runs the comparison, prints it and writes `accelerator.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10, help="of each, at least")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (EPOCH * BATCH, 32, 32, 3)).astype("uint8")
    labels = rng.integers(0, 10, EPOCH * BATCH)
    with tempfile.TemporaryDirectory() as workdir:
        made = {
            "ours": make_ours(options.depth, images, labels, workdir),
            "fit": make_fit(options.depth, images, labels),
        }
        seconds: dict[str, list[float]] = {name: [] for name in made}
        for name, (epoch, _) in made.items():
            began = time.perf_counter()
            epoch()  # compiles
            print(f"{name}: first epoch {time.perf_counter() - began:.1f} s", flush=True)
        while min(map(sum, seconds.values())) < options.seconds:
            for name, (epoch, _) in made.items():
                began = time.perf_counter()
                epoch()
                seconds[name].append(time.perf_counter() - began)
    row: dict[str, Any] = {"depth": options.depth, "batch": BATCH}
    for name, (_, parameters) in made.items():
        row[f"{name}_images_per_second"] = round(EPOCH * BATCH / np.median(seconds[name]))
        row[f"{name}_parameters"] = parameters
    row["ratio"] = round(row["ours_images_per_second"] / row["fit_images_per_second"], 2)
    row |= {"rounds": len(seconds["ours"]), "jax": jax.__version__, "keras": keras.__version__}
    row["hardware"] = hardware()
    print(json.dumps(row))
    path = options.out / "accelerator.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
