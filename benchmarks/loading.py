"""Loading a ResNet-50 from a local folder, by part, compared with KerasHub.

    python -m benchmarks.loading --out DIR [--rounds N]

Each measurement runs in a new process; ours and KerasHub's take turns. "build" makes the network without
weights, "first" and "again" load the folder once and once more in the same process, with the check of its
hash in ours, "predict" answers for one photograph's size, "memory" is the peak in MiB above that of the
imports. "hash" is the part of loading that reads and hashes the file. The second table has a CIFAR-10 preset.
"""

import argparse
import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.tables import write_rows

CIFAR = "highway_bn_cifar10"
PARTS = ("import", "build", "first", "again", "predict", "hash", "memory")


def time_of(work):
    """Seconds of a function, and its result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def measure(kind, folder):
    """The parts of loading a folder of ours, or of KerasHub's for "peer"."""
    from benchmarks.memory import find_peak

    module = {"ours": "keras_unrolled.presets.loading", "peer": "keras_hub"}[kind]
    seconds = {}
    seconds["import"], package = time_of(lambda: importlib.import_module(module))
    load = package.from_preset if kind == "ours" else package.models.ImageClassifier.from_preset
    before = find_peak()
    seconds["first"], _ = time_of(lambda: load(folder))
    seconds["memory"] = find_peak() - before
    seconds["again"], model = time_of(lambda: load(folder))
    seconds["build"], _ = time_of(lambda: load(folder, load_weights=False))
    import numpy as np

    side = model.backbone.image_shape[0] or 224
    image = np.zeros((1, side, side, 3), "uint8")
    seconds["predict"], _ = time_of(lambda: model.predict(image, verbose=0))
    return seconds


def find_hashing(folder):
    """Seconds for reading and hashing the largest file of a folder."""
    path = max(Path(folder).iterdir(), key=lambda path: path.stat().st_size)
    return time_of(lambda: hashlib.sha256(path.read_bytes()).hexdigest())[0]


def save_peer(folder):
    """Writes KerasHub's ResNet-50 with random weights."""
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=(224, 224, 3),
    )
    classifier = keras_hub.models.ResNetImageClassifier(
        backbone=backbone,
        num_classes=1000,
        preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(
            keras_hub.layers.ResNetImageConverter(image_size=(224, 224))
        ),
    )
    classifier.save_to_preset(str(folder))


def save_ours(folder):
    """Writes our ResNet-50 with random weights."""
    from keras_unrolled import models, save_preset

    save_preset(models.resnet(50), folder)


def run_child(kind, folder):
    """The parts of one load, measured in a new process."""
    command = [sys.executable, "-m", "benchmarks.loading", "--child", kind, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(name, folders, rounds):
    """Rows of a table: each part of ours and of the peer's."""
    from keras_unrolled.environment import hardware

    taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in folders}
    for _ in range(rounds):
        for kind, folder in folders.items():
            taken[kind].append({**run_child(kind, folder), "hash": find_hashing(folder)})
    rows = []
    for part in PARTS:
        middle = {kind: median(run[part] for run in runs) for kind, runs in taken.items()}
        row = {"network": name, "part": part, "unit": "MiB" if part == "memory" else "s"}
        row |= {kind: round(middle[kind], 3) if kind in middle else "" for kind in ("ours", "peer")}
        row["ratio"] = round(middle["peer"] / middle["ours"], 2) if "peer" in middle else ""
        rows.append(row | {"n": rounds, "machine": hardware()})
    return rows


def main():
    """Writes `loading.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child)))
        return
    if options.out is None:
        parser.error("the following arguments are required: --out")
    options.out.mkdir(parents=True, exist_ok=True)
    from keras_unrolled import paths

    with tempfile.TemporaryDirectory() as folder:
        ours, peer = Path(folder) / "ours", Path(folder) / "peer"
        save_ours(ours)
        save_peer(peer)
        rows = compare("ResNet-50", {"ours": ours, "peer": peer}, options.rounds)
    rows += compare(CIFAR, {"ours": paths.zoo() / "checkpoints" / CIFAR}, options.rounds)
    write_rows(options.out / "loading.csv", rows)
    print((options.out / "loading.csv").read_text(), end="")


if __name__ == "__main__":
    main()
