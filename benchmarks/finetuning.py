"""Fine-tuning compared with Keras's `fit` of the same network on the same images.

    python -m benchmarks.finetuning --out DIR [--presets NAME ...] [--rounds N]

The images are the sample in the wheel, 1,000 of CIFAR-10, of which 800 are trained on. Ours is the phase of
`finetune` that trains the whole network, with its augmentation; `fit` trains the same layers by AdamW without
augmentation, compiled by XLA as Keras does by itself, and without. Figures are images a second, medians over
epochs but the first, which compiles.
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks.tables import write_rows
from keras_unrolled import data, engine
from keras_unrolled.environment import hardware
from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.phases import freeze
from keras_unrolled.finetuning.run import Finetuning
from keras_unrolled.presets.loading import from_preset

EPOCHS, RATE = 5, 1e-3  # of the whole network; `finetune` has half as many for the head before


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


def ours(preset, examples, precision):
    """Images a second of each epoch of `finetune`'s second phase."""
    options = Options(epochs=EPOCHS * 3 // 2, learning_rate=RATE, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        run = Finetuning(preset, examples, Path(folder) / "preset", None, options)
        run.train(engine.make_strategy(1, kind="one"))
        with (run.folders["network"] / "log.csv").open(newline="") as file:
            return [float(row["images_per_second"]) for row in csv.DictReader(file)]


def fit(preset, examples, precision, compiled):
    """Images a second of each epoch of `fit`."""
    model = from_preset(preset, labels=examples.names, dtype=precision)
    freeze(model, whole=True)
    model.compile(
        optimizer=keras.optimizers.AdamW(RATE, weight_decay=0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=compiled,
    )
    count = len(examples) * 4 // 5
    clock = Clock()
    images, labels = np.stack(examples.images[:count]), examples.labels[:count]
    model.fit(images, labels, batch_size=32, epochs=EPOCHS, verbose=0, callbacks=[clock])
    return [count / seconds for seconds in clock.seconds]


def measure(preset, precision, rounds):
    """Rows: medians of the rounds, in which ours and `fit` take turns.

    `fit` is compiled by XLA, its default, in the first round only where that is slower.
    """
    examples = data.load_sample()
    mine: list[float] = []
    theirs: dict[bool, list[float]] = {False: [], True: []}
    ways = list(theirs)
    for _ in range(rounds):
        mine += ours(preset, examples, precision)[1:]
        for way in ways:
            theirs[way] += fit(preset, examples, precision, way)[1:]
        ways = [max(theirs, key=lambda way: np.median(theirs[way]))]
    return [
        {
            "benchmark": f"fine-tune {preset}, peer: fit {how}, {precision}",
            "ours": round(float(np.median(mine)), 1),
            "peer": round(float(np.median(theirs[way])), 1),
            "ratio": round(float(np.median(mine) / np.median(theirs[way])), 2),
            "n": len(theirs[way]),
            "machine": hardware(),
        }
        for way, how in ((True, "by XLA"), (False, "without XLA"))
    ]


def main():
    """Writes `finetuning.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning", description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--presets", nargs="+", default=["resnet_bn_cifar10", "highway_bn_cifar10"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for preset in options.presets:
        for precision in options.precisions:
            rows += measure(preset, precision, options.rounds)
            for row in rows[-2:]:
                print(*row.values(), sep="\t", file=sys.stderr, flush=True)
            write_rows(options.out / "finetuning.csv", rows)


if __name__ == "__main__":
    main()
