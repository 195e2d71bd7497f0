"""A hash of a model's weights."""

import hashlib
from typing import Any

import keras
import numpy as np


def hash_weights(model: Any) -> str:
    """A hash of a model's weights in float32; states of random generators do not count."""
    digest = hashlib.sha256()
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight.value)
        digest.update(np.ascontiguousarray(values, "float32").data)
    return digest.hexdigest()
