"""Values of foreign weights that no network computes with."""

from typing import Any

import keras
import numpy as np

from keras_unrolled import checks


def check_values(name: str, values: np.ndarray, dtype: Any, where: str) -> None:
    """Raises `InputError` for a weight that is not finite, or a variance below 0.

    Args:
        name: the weight's name; that of a moving variance ends in "running_var" or
            "moving_variance".
        values: array of numbers.
        dtype: string or NumPy dtype, of the variable that they are for: what is out of its range
            would become infinite.
        where: where they come from, for messages.
    """
    if not np.isfinite(values).all():
        raise checks.InputError(
            f"Expected finite weights in {where}. Found NaN or infinity in {name}. "
            "The file is damaged or its training failed: take another."
        )
    least, largest = (float(values.min()), float(abs(values).max())) if values.size else (0.0, 0.0)
    most = float(np.finfo(dtype).max)
    if largest > most:
        raise checks.InputError(
            f"Expected weights within the range of {np.dtype(dtype)}, up to {most:.3g}, in {where}. "
            f"Found {largest:.3g} in {name}, which would become infinite. The file is damaged or its "
            "training failed: take another."
        )
    if name.endswith(("running_var", "moving_variance")) and least < 0:
        raise checks.InputError(
            f"Expected variances of at least 0 in {where}. Found {least:.3g} in {name}. "
            "The file is damaged: take another."
        )


def check_model(model: keras.Model, where: str) -> None:
    """Raises `InputError` for weights of a model as `check_values` does."""
    for variable in model.weights:
        values = keras.ops.convert_to_numpy(variable.value)
        dtype = keras.backend.standardize_dtype(variable.dtype)
        if values.dtype.kind == "f":  # no seed's state
            check_values(variable.path, values, dtype, where)
