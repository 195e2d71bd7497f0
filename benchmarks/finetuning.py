"""Fine-tuning compared with Keras's `fit` of the same network on the same images.

    python -m benchmarks.finetuning --out DIR [--presets NAME ...] [--rounds N]

The images are the sample in the wheel, 1,000 of CIFAR-10, of which 800 are trained on. Ours is the phase of
`finetune` that trains the whole network, with its augmentation; `fit` trains by AdamW without augmentation,
compiled by XLA as Keras does by itself, and without: the preset's own layers and, for `resnet_bn_cifar10`, the
same network of Keras's layers, with two projections as shortcuts. Batch normalization stays in inference mode in
all of them. Figures are images a second, medians over epochs but the first, which compiles.
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks import peers
from benchmarks.tables import write_rows
from keras_unrolled import data, engine, files
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
        with files.locked(run.partial):
            run.train(engine.make_strategy(1, kind="one"))
        with (run.folders["network"] / "log.csv").open(newline="") as file:
            return [float(row["images_per_second"]) for row in csv.DictReader(file)]


def make_own(preset, names, precision):
    """The preset as `finetune` trains it."""
    model = from_preset(preset, labels=names, dtype=precision)
    freeze(model, whole=True)
    return model


def make_stock(preset, names, precision):
    """The network of `resnet_bn_cifar10` of Keras's layers."""
    model = peers.cifar_resnet(20, precision)
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return model


def fit(model, examples, compiled):
    """Images a second of each epoch of `fit`."""
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
    """Rows: medians of the rounds, in which ours and every `fit` take turns.

    Of `fit` compiled by XLA, its default, and without, the slower one runs in the first round only.
    """
    examples = data.load_sample()
    networks = {"fit": make_own}
    if preset == "resnet_bn_cifar10":
        networks["fit of Keras's layers"] = make_stock
    mine: list[float] = []
    theirs: dict[str, dict[bool, list[float]]] = {name: {False: [], True: []} for name in networks}
    for number in range(rounds):
        mine += ours(preset, examples, precision)[1:]
        for name, make in networks.items():
            found = theirs[name]
            best = max(found, key=lambda way: np.median(found[way] or 0))
            for way in [best] if number else found:
                found[way] += fit(make(preset, examples.names, precision), examples, way)[1:]
    return [
        {
            "benchmark": f"fine-tune {preset}, peer: {name} {how}, {precision}",
            "ours": round(float(np.median(mine)), 1),
            "peer": round(float(np.median(found[way])), 1),
            "ratio": round(float(np.median(mine) / np.median(found[way])), 2),
            "n": len(found[way]),
            "machine": hardware(),
        }
        for name, found in theirs.items()
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
            new = measure(preset, precision, options.rounds)
            rows += new
            for row in new:
                print(*row.values(), sep="\t", file=sys.stderr, flush=True)
            write_rows(options.out / "finetuning.csv", rows)


if __name__ == "__main__":
    main()
