"""A hash of a model's weights."""

import hashlib
from typing import Any

import keras


def hash_weights(model: Any) -> str:
    """A hash of a model's weights in float32; states of random generators do not count."""
    digest = hashlib.blake2b()
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")).tobytes())
    return digest.hexdigest()
