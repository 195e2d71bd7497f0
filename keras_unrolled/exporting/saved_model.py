"""SavedModel: written by Keras, for TensorFlow and TensorFlow Serving."""

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

    Args:
        network: as `network.build` gives it.
        path: path of the folder to make.
        facts: as of `metadata.describe`.
        precision, images: of the other formats; float32 and None here.
    """
    with silenced():
        network.export(
            str(path), format="tf_saved_model", verbose=False, input_signature=signature(network)
        )
    metadata.write_files(facts, path / EXTRA)
