"""Trains a small net for twenty steps on some replicas: see test_loop.py.

python replica_worker.py REPLICAS DTYPE OUT.npz [KEY=VALUE ...]

Settings are those of the recipe. TF_CONFIG makes it one of several workers; INITIAL_WEIGHTS is a
file to start from; KERAS_BACKEND may be jax.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from keras_unrolled.engine import ImageRecipe, Job, count_replicas, make_strategy, train


def main(replicas, dtype, out, *settings):
    strategy = make_strategy(int(replicas))  # before TensorFlow has looked at its devices

    import csv

    import keras

    from keras_unrolled.data.image_batches import ImageBatches
    from training.job import build as build_network

    keras.config.set_floatx("float64" if dtype == "float64" else "float32")
    recipe = ImageRecipe(
        network={
            "builder": "highway",
            "depth": 8,
            "dataset": "cifar",
            "stackwise_num_filters": [16, 16, 16],
        },
        epochs=10,
        warmup_epochs=1,
        momentum=0.9,
        weight_decay=5e-4,
        label_smoothing=0.05,
        batch_size=16,
        learning_rate=0.5,
        clip_norm=0.5,  # small enough to bite at every step
        precision=dtype,
        ema=0.9,
        seed=5,
    ).override(settings)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 12, 12, 3)).astype("uint8")
    labels = rng.integers(0, 10, 32)
    stream = ImageBatches(
        images,
        labels,
        batch_size=16,
        total_steps=20,
        seed=5,
        preprocess=keras.layers.Rescaling(1 / 255, dtype=dtype),
        mixup=recipe.mixup,
        classes=10,
    )

    def build():
        model = build_network(recipe, dtype=dtype)
        if os.environ.get("INITIAL_WEIGHTS"):
            with np.load(os.environ["INITIAL_WEIGHTS"]) as file:
                for i, weight in enumerate(model.weights):
                    weight.assign(file[f"arr_{i}"])
        return model

    with tempfile.TemporaryDirectory() as folder:
        job = Job(recipe=recipe, build=build, stream=stream, steps_per_epoch=2, workdir=folder)
        model, _ = train(job, strategy)
        with open(next(Path(folder).glob("log*.csv")), newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
    weights = {f"weight {i}": keras.ops.convert_to_numpy(w) for i, w in enumerate(model.weights)}
    np.savez(out, losses=losses, replicas=count_replicas(strategy), **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
