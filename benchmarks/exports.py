"""Exports every image preset of the wheel in every format, and compares answers, sizes and speed.

    python -m benchmarks.exports --data-dir DIR --out DIR [--presets NAME ...]

DIR is TFDS's data directory, with CIFAR-10. Each file is run by its own runtime on 1,000 test images
(int8 on all 10,000, calibrated with training images) and compared with `predict` of the preset. Speed
is in images a second, medians of rounds in which the file and the preset in Keras take turns.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_unrolled as ku
from benchmarks.tables import write_rows
from keras_unrolled import data, evaluation
from keras_unrolled.environment import hardware
from keras_unrolled.exporting import network, runtime
from keras_unrolled.exporting.metadata import find_name

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
KINDS = [(f, p) for f in ("onnx", "litert") for p in ("float32", "float16", "int8")]
KINDS.append(("saved_model", "float32"))
COMPARED, BATCHES, SECONDS = 1_000, (1, 32), 1.0


def open_file(format, path):
    """A function from images to probabilities that uses every core."""
    if format != "litert":
        return runtime.LOADERS[format](str(path))
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner()
    return lambda images: run(images=images)["probabilities"]


def in_keras(model):
    """The preset as it is, compiled by TensorFlow: from images to probabilities."""
    run = tf.function(lambda x: tf.nn.softmax(model(model.preprocessor(x), training=False)))
    return lambda images: run(tf.constant(images)).numpy()


def take_turns(ours, peer, images):
    """Images a second of two functions, each called for `SECONDS` or longer."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in (ours, peer):
        run(images), run(images)
    while min(map(sum, seconds)) < SECONDS:
        for run, taken in zip((ours, peer), seconds):
            began = time.perf_counter()
            run(images)
            taken.append(time.perf_counter() - began)
    return [len(images) / float(np.median(taken)) for taken in seconds]


def predict(run, images, batch=100):
    return np.concatenate([run(images[i : i + batch]) for i in range(0, len(images), batch)])


def measure(model, format, precision, path, images, labels, expected, data_dir):
    """One row: a preset in a format and precision."""
    options = {"calibration": "cifar10", "data_dir": data_dir} if precision == "int8" else {}
    began = time.perf_counter()
    result = ku.export(model, path, format=format, precision=precision, **options)
    seconds = time.perf_counter() - began
    run = open_file(format, path)
    count = len(labels) if precision == "int8" else COMPARED
    received = predict(run, images[:count])
    row = {
        "preset": find_name(model),
        "format": format,
        "precision": precision,
        "bytes": result["bytes"],
        "difference": float(f"{np.abs(received - expected[:count]).max():.2g}"),
        "agreement": np.mean(received.argmax(-1) == expected[:count].argmax(-1)),
        "accuracy": evaluation.accuracy(received, labels[:count]),
        "accuracy_of_preset": evaluation.accuracy(expected[:count], labels[:count]),
        "n": count,
        "export_seconds": round(seconds, 1),
    }
    keras_run = in_keras(model)
    for batch in BATCHES:
        ours, peer = take_turns(run, keras_run, images[:batch])
        row[f"images_per_second_{batch}"] = round(ours)
        row[f"ratio_to_keras_{batch}"] = round(ours / peer, 2)
    return row


def main():
    """Writes `exports.csv`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--presets", nargs="+", help="default: the image presets of the wheel")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bundled = [r.name for r in ku.list_presets("*_cifar10") if r.has_weights and "56" not in r.name]
    test = data.load("cifar10:test", options.data_dir)
    images, labels = np.stack(test.images[:]), test.labels
    rows = []
    for name in options.presets or bundled:
        model = ku.from_preset(name)
        expected = network.predict(model, images)
        for format, precision in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"network{SUFFIXES[format]}"
                row = measure(
                    model, format, precision, path, images, labels, expected, options.data_dir
                )
            rows.append({**row, "machine": hardware()})
            print(*rows[-1].values(), sep="\t", file=sys.stderr, flush=True)
            write_rows(options.out / "exports.csv", rows)


if __name__ == "__main__":
    main()
