"""Reading of weight files, each compared with the network first."""

import h5py
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


def read_shapes(path):
    """The shapes of every variable in a file of weights."""
    if not path.is_file():
        raise checks.InputError(
            f"Expected weights in {path}. Found no such file. Restore it, or pass "
            "load_weights=False for random weights."
        )
    shapes = []

    def visit(_, node):
        if isinstance(node, h5py.Dataset):
            shapes.append(list(node.shape))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except Exception as error:
        raise checks.InputError(
            f"Expected an HDF5 file of weights in {path}. Found one that cannot be read "
            f"({error}). Restore it."
        ) from error
    return shapes
