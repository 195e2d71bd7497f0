"""Runs an exported file as another program would: with NumPy and the format's own runtime.

    python runtime.py onnx|litert|saved_model FILE IMAGES.npy PROBABILITIES.npy

The images are a uint8 array `(n, height, width, channels)`, the probabilities float32
`(n, num_classes)`. This program imports nothing of the package: what it needs is in the file.
"""

import sys

import numpy as np

BATCH_SIZE = 25


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(path).get_signature_runner()
    return lambda images: run(images=images)["probabilities"]


def load_saved_model(path):
    import tensorflow as tf

    run = tf.saved_model.load(path).signatures["serving_default"]
    return lambda images: run(images=tf.constant(images))["probabilities"].numpy()


LOADERS = {"onnx": load_onnx, "litert": load_litert, "saved_model": load_saved_model}


def main(format, path, images, probabilities):
    run, images = LOADERS[format](path), np.load(images)
    starts = range(0, len(images), BATCH_SIZE)
    rows = [run(images[start : start + BATCH_SIZE]) for start in starts]
    np.save(probabilities, np.concatenate(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
