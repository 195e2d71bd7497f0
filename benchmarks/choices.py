"""Compares fine-tuning at the usual learning rate with `--find-lr` and `--try 3`.

    python -m benchmarks.choices --data FOLDER [FOLDER ...] --out DIR [--preset NAME] [--seeds N ...]

Each folder has the parts train and test, with a folder of images per class. Every run is a process of its
own: `keras-unrolled finetune`, whose test accuracy, rate and processor time go to DIR/choices.csv. The
test images choose nothing: `--try` holds out a fifth of train.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tables import write_rows
from keras_unrolled.environment import hardware

WAYS = {"usual": [], "find_lr": ["--find-lr"], "try_3": ["--try", "3"]}


def measure(preset, data, way, seed, epochs):
    """One row: a fine-tuning by one of the `WAYS`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "keras_unrolled", "finetune", preset, "--json"]
        command += ["--data", str(data), "--out", f"{folder}/tuned", "--seed", str(seed)]
        command += ["--epochs", str(epochs), *WAYS[way]]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(done.stdout)
    scored = result.get("test", result)  # without --try the test part is what is held out
    return {
        "data": data.name,
        "way": way,
        "seed": seed,
        "n": scored["n"],
        "accuracy": round(scored["accuracy"], 4),
        "learning_rate": result["phases"][-1]["learning_rate"],
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(
            used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 1
        ),
        "machine": hardware(),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--preset", default="resnet_bn_cifar10", metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--epochs", type=int, default=15, metavar="N")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for data in options.data:
        for seed in options.seeds:
            for way in options.ways:
                rows.append(measure(options.preset, data, way, seed, options.epochs))
                print(rows[-1], file=sys.stderr, flush=True)
                write_rows(options.out / "choices.csv", rows)


if __name__ == "__main__":
    main()
