"""SavedModel: for TensorFlow and TensorFlow Serving."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled.exporting import metadata
from keras_unrolled.exporting.network import signature
from keras_unrolled.exporting.silence import silenced

EXTRA = "assets.extra"  # where a SavedModel has files that TensorFlow does not read


def write(
    network: Any,
    path: Path,
    facts: dict[str, Any],
    precision: str = "float32",
    images: np.ndarray | None = None,
) -> None:
    """Writes a network as the folder of a SavedModel.

    Arguments are those of `onnx_file.write`. Its precision is float32, without images.
    """
    import tensorflow as tf

    # Keras's own exporter writes each weight twice.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    (images_spec,) = signature(network)
    images_spec = tf.TensorSpec(images_spec.shape, images_spec.dtype, images_spec.name)
    module.serve = tf.function(
        lambda images: network(images, training=False), input_signature=[images_spec]
    )
    with silenced():
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    metadata.write_files(facts, path / EXTRA)
