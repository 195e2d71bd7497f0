"""LiteRT (TensorFlow Lite): written by Keras and TensorFlow's converter."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled.exporting import metadata
from keras_unrolled.exporting.network import signature
from keras_unrolled.exporting.silence import silenced


def write(
    network: Any,
    path: Path,
    facts: dict[str, Any],
    precision: str = "float32",
    images: np.ndarray | None = None,
) -> None:
    """Writes a network as one LiteRT file, whose name ends in .tflite.

    Arguments are those of `onnx_file.write`.
    """
    import tensorflow as tf

    # Operations of TensorFlow itself would need a runtime that has them, which few have.
    target: dict[str, Any] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    options: dict[str, Any] = {"target_spec": target}
    if precision != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        target["supported_types"] = [tf.float16]
    if images is not None:
        options["representative_dataset"] = lambda: ({"images": image[None]} for image in images)
    with silenced():
        network.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=signature(network),
            **options,
        )
    _append_files(path, metadata.as_files(facts))


def _append_files(path, texts):
    """Appends files as a zip archive, where LiteRT's tools look for a model's associated files."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in texts.items():
            # Without the time of writing, so that the same network gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text.encode())
