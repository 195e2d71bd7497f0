"""Reading of weight files, each compared with the network first."""

import keras
import numpy as np

from keras_unrolled import checks


def load_into(load, path, shapes, variables):
    """Loads a weights file that has arrays of the shapes `shapes` into `variables`."""
    if sorted(shapes) != sorted(list(v.shape) for v in variables):
        raise checks.InputError(
            f"Expected the {len(variables)} variables of the network in {path}. Found "
            f"{len(shapes)}, of other number or shape. The file belongs to another network."
        )
    try:
        load(str(path))
    except Exception as error:
        raise checks.InputError(
            f"Expected the weights of the network in {path}. They cannot be loaded "
            f"({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error
    for variable in variables:
        values = np.asarray(keras.ops.convert_to_numpy(variable.value))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise checks.InputError(
                f"Expected finite weights in {path}. Found NaN or infinity in "
                f"{variable.path}. The file is damaged or its training failed: take another."
            )
