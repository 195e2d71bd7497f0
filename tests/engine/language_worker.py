"""Takes twenty steps of a small language model on Keras's backend.

    python language_worker.py WORKDIR OUT.npz [stop]

Writes weights, losses and the state that is carried on. With `stop` the run gets SIGTERM after ten.
"""

import csv
import os
import signal
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import keras

from keras_unrolled import engine, models
from keras_unrolled.data.text_batches import TextBatches
from keras_unrolled.engine.language import StatefulLM, language_objective

BATCH, LENGTH, STEPS = 3, 5, 10
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "an",
    "unusual",
    "multibillion-dollar",
    "dog",
    "saw",
    "N",
    "logs",
]


def main(workdir, out, stop=None):
    rng = np.random.default_rng(5)
    tokenizer = models.CharacterTokenizer.learn(WORDS)
    ids = rng.integers(0, len(tokenizer.vocabulary), BATCH * (STEPS * LENGTH + 1))
    stream = TextBatches(ids, batch_size=BATCH, length=LENGTH, epochs=2)
    recipe = engine.TextRecipe(
        network={"builder": "character_lm"},
        epochs=2,
        batch_size=BATCH,
        length=LENGTH,
        warmup_epochs=0,
        learning_rate=0.5,
        decay="plateau",
        momentum=0.0,
        weight_decay=1e-4,
        clip_norm=1.0,
        ema=0.0,
        precision="float32",
    )

    def build():
        lm = models.character_lm(
            tokenizer=tokenizer,
            dropout=0.0,
            character_dim=4,
            filter_widths=(1, 2, 3),
            num_filters=(3, 4, 5),
            num_layers=1,
            units=6,
        )
        for weight in lm.weights:
            weight.assign(rng.uniform(-0.4, 0.4, weight.shape))
        return StatefulLM(lm, BATCH, stream.most_distinct)

    def after_epoch(model, optimizer, figures, state):
        if stop:
            os.kill(os.getpid(), signal.SIGTERM)
        optimizer.learning_rate = float(optimizer.learning_rate) / 2

    job = engine.Job(
        recipe=recipe,
        build=build,
        stream=stream,
        steps_per_epoch=stream.steps_per_epoch,
        workdir=workdir,
        objective=language_objective(recipe),
        after_epoch=after_epoch,
    )
    model, _ = engine.train(job, engine.make_strategy(kind="one"))
    with open(Path(workdir) / "log.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    weights = [keras.ops.convert_to_numpy(w) for w in model.weights]
    np.savez(out, *weights, losses=losses)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except engine.Stopped:
        sys.exit(7)
