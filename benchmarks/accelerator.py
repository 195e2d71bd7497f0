"""Compares training by our engine on JAX with Keras's layers and `fit`, in one run.

    KERAS_BACKEND=jax python -m benchmarks.accelerator --out DIR [--network resnet --depth 20]
    KERAS_BACKEND=jax python -m benchmarks.accelerator --out DIR --network language --ptb DIR

Both train a network of the same architecture in batches of the same size: a ResNet for CIFAR on
random images, 128 a batch, which ours also crops and flips; or Kim et al.'s Small language model on
Penn Treebank, 20 times 35 words a batch. They take turns; figures are medians, in images or words a
second.
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

from benchmarks import peers
from keras_unrolled import data, models
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.data.text_batches import TextBatches
from keras_unrolled.engine import ImageRecipe, Job
from keras_unrolled.engine.jax import loop, sharding
from keras_unrolled.engine.jax.step import make_steps
from keras_unrolled.engine.language import StatefulLM, language_objective
from keras_unrolled.engine.objectives import classification
from keras_unrolled.environment import hardware
from training.recipes import ptb

BATCH = 128  # images


def make_epoch(job, model, objective, total):
    """A function that takes `total` steps by our engine."""
    run = loop._Run(job, sharding.make_mesh(1), model)
    batches = run.batches
    steps = make_steps(model, run.optimizer, job.recipe, objective, batches)
    values = [tuple([v.value.copy() for v in group] for group in run.groups)]
    count = batches.steps_per_call

    def epoch():
        losses = None
        for first in range(0, total, count):
            values[0], losses, _ = steps(
                values[0],
                batches.table,
                batches.block(first, min(count, total - first)),
                min(count, total - first),
            )
        assert np.isfinite(np.asarray(losses)).all()

    return epoch


def compare_resnets(options, workdir):
    """Ours, the peer, each with its parameters, and the images of an epoch."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.steps * BATCH, 32, 32, 3)).astype("uint8")
    labels = rng.integers(0, 10, options.steps * BATCH)
    recipe = ImageRecipe(
        network={},
        epochs=10_000,
        batch_size=BATCH,
        momentum=0.9,
        weight_decay=5e-4,
        ema=0.999,
        precision=options.precision,
    )
    model = models.resnet(options.depth, dataset="cifar", dtype=recipe.precision)
    stream = ImageBatches(
        images,
        labels,
        batch_size=BATCH,
        total_steps=recipe.epochs * options.steps,
        seed=0,
        preprocess=model.preprocessor,
    )
    job = Job(
        recipe=recipe,
        build=lambda: model,
        stream=stream,
        steps_per_epoch=options.steps,
        workdir=workdir,
    )
    peer = peers.cifar_resnet(options.depth, recipe.precision)
    peer.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    inputs = images.astype("float32") / 255
    return {
        "ours": (
            make_epoch(job, model, classification(recipe), options.steps),
            model.count_params(),
        ),
        "fit": (
            lambda: peer.fit(inputs, labels, batch_size=BATCH, verbose=0),
            peer.count_params(),
        ),
    }, len(images)


def compare_language_models(options, workdir):
    """Ours, the peer, each with its parameters, and the words of an epoch."""
    recipe = ptb.RECIPES["kim"]["highway_small_ptb"].override([f"precision={options.precision}"])
    batch, length = recipe.batch_size, recipe.length
    words = data.read_words(options.ptb, "train")
    tokenizer = models.CharacterTokenizer.learn(words)
    ids = [tokenizer.numbers[word] for word in words[: options.steps * batch * length + batch]]
    stream = TextBatches(ids, batch_size=batch, length=length, epochs=10_000)
    lm = models.character_lm("small", tokenizer=tokenizer, dtype=recipe.precision)
    model = StatefulLM(lm, batch, stream.most_distinct)
    job = Job(
        recipe=recipe,
        build=lambda: model,
        stream=stream,
        steps_per_epoch=stream.steps_per_epoch,
        workdir=workdir,
    )
    peer = peers.character_lm(
        tokenizer.num_characters(), tokenizer.vocabulary_size(), length, batch, recipe.precision
    )
    begins = [slice(i * length, (i + 1) * length) for i in range(options.steps)]
    numbers = np.concatenate([stream.table[:, part] for part in begins])
    targets = np.concatenate([stream.table[:, 1:][:, part] for part in begins])
    spelled = tokenizer.spell(tokenizer.vocabulary)[numbers]
    return {
        "ours": (
            make_epoch(job, model, language_objective(recipe), options.steps),
            lm.count_params(),
        ),
        "fit": (
            lambda: peer.fit(spelled, targets, batch_size=batch, shuffle=False, verbose=0),
            peer.count_params(),
        ),
    }, numbers.size


def take_turns(made, least):
    """The seconds of each epoch, until each side has taken `least` seconds; the first compiles."""
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for name, (epoch, _) in made.items():
        began = time.perf_counter()
        epoch()
        print(f"{name}: first epoch {time.perf_counter() - began:.1f} s", flush=True)
    while min(map(sum, seconds.values())) < least or min(map(len, seconds.values())) < 3:
        for name, (epoch, _) in made.items():
            began = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def main():
    """Runs the comparison, prints it and adds it to `accelerator.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--network", choices=("resnet", "language"), default="resnet")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--ptb", type=Path, help="folder of Penn Treebank")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--steps", type=int, default=100, help="of an epoch, fewer on a CPU")
    parser.add_argument("--seconds", type=float, default=10, help="of each, at least")
    options = parser.parse_args()
    if options.network == "language" and options.ptb is None:
        parser.error("--network language reads Penn Treebank: pass --ptb DIR")
    options.out.mkdir(parents=True, exist_ok=True)
    language = options.network == "language"
    with tempfile.TemporaryDirectory() as workdir:
        made, count = (compare_language_models if language else compare_resnets)(options, workdir)
        seconds = take_turns(made, options.seconds)
    row: dict[str, Any] = {
        "network": "language model Small" if language else f"ResNet-{options.depth}",
        "unit": "words" if language else "images",
        "precision": options.precision,
    }
    for name, (_, parameters) in made.items():
        row[f"{name}_per_second"] = round(count / np.median(seconds[name]))
        row[f"{name}_parameters"] = parameters
    row["ratio"] = round(row["ours_per_second"] / row["fit_per_second"], 2)
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
