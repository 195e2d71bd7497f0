"""Predictions of a folded ResNet-50 compared with timm's in other engines.

    python -m benchmarks.engines --python PYTHON --out DIR [--photographs DIR] [--precisions float32 bfloat16]

PYTHON is the Python of an environment with torch, timm, onnxruntime, openvino, onnx and safetensors. Ours
and the other engine, each in its own process, take turns; an engine that cannot run is left out, with the
reason. Weights are the same on both sides: timm's, random ones. For photographs (a folder of class
folders) the share with the same best class is stated.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.tables import write_rows
from keras_unrolled import convert
from keras_unrolled.data.sources import read_class_folders
from keras_unrolled.environment import hardware
from keras_unrolled.layers.fused_mix import fused_mixing

ENGINES = ("timm", "timm, torch.compile", "ONNX Runtime", "OpenVINO")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
SECONDS = 1.0  # of ours in each round, at least


class Peer:
    """A process of another environment that answers commands."""

    def __init__(self, python):
        script = Path(__file__).with_name("engine_worker.py")
        self.process: Any = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **command):
        """The answer to a command."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict):
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def read_photographs(folder, size=224):
    """Images `(n, 224, 224, 3)`, about normal."""
    from PIL import Image

    paths = read_class_folders(folder).paths
    images = [Image.open(path).convert("RGB").resize((size, size)) for path in paths]
    return (np.stack([np.asarray(image, "float32") for image in images]) - 120) / 60


def make_ours(model):
    """A compiled function of images `(n, 224, 224, 3)`, as `predict` runs it."""

    @tf.function(jit_compile=False)
    def run(images):
        with fused_mixing():
            return model(images, training=False)

    return lambda images: run(tf.constant(images)).numpy()


def compare(peer, engine, precision, batch, ours, rounds):
    """Images a second of ours and of the engine."""
    peer.ask(prepare=[engine, precision, batch])
    images = np.random.default_rng(0).normal(size=(batch, 224, 224, 3)).astype("float32")
    ours(images), ours(images)
    began = time.perf_counter()
    ours(images)
    count = max(1, round(SECONDS / (time.perf_counter() - began)))
    mine, theirs = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(count):
            ours(images)
        mine.append(time.perf_counter() - began)
        theirs.append(peer.ask(run=count))
    return [batch * count / median(seconds) for seconds in (mine, theirs)]


def agree(peer, ours, photographs):
    """The share of photographs with the same best class, or an empty string."""
    if photographs is None:
        return ""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, photographs)
        theirs = peer.ask(scores=file.name)
    parts = [photographs[i : i + 8] for i in range(0, len(photographs), 8)]
    mine = np.concatenate([ours(part).argmax(-1) for part in parts])
    return round(float(np.mean(mine == theirs)), 4)


def main():
    """Writes `engines.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--photographs", type=Path, metavar="DIR")
    parser.add_argument("--precisions", nargs="+", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    photographs = options.photographs and read_photographs(options.photographs)
    peer, rows = Peer(options.python), []
    with tempfile.TemporaryDirectory() as folder:
        peer.ask(save=folder)
        networks = {
            precision: convert.fold(convert.from_timm(folder, dtype=POLICIES[precision]))
            for precision in options.precisions
        }
    for precision, model in networks.items():
        ours = make_ours(model)
        for engine in options.engines:
            for batch in options.batches:
                name = f"predict folded ResNet-50, batch {batch}, peer: {engine}, {precision}"
                try:
                    mine, theirs = compare(peer, engine, precision, batch, ours, options.rounds)
                    same = agree(peer, ours, photographs) if batch == 8 else ""
                except RuntimeError as error:
                    print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
                    continue
                rows.append(
                    {
                        "benchmark": name,
                        "ours": round(mine, 1),
                        "peer": round(theirs, 1),
                        "ratio": round(mine / theirs, 2),
                        "n": options.rounds,
                        "machine": hardware(),
                        "agreement": same,
                    }
                )
                print(*rows[-1].values(), sep="\t", file=sys.stderr, flush=True)
                write_rows(options.out / "engines.csv", rows)
    peer.close()


if __name__ == "__main__":
    main()
