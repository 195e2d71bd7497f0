"""Reading of weight files, each compared with the network first."""

import h5py
import keras
import numpy as np

from keras_unrolled import checks

MOST_ARRAYS = 100_000  # of a file; a network of 2,000 blocks has half as many


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
    """The shapes of every variable in a file of weights.

    A file can declare arrays of any size without holding them. Here each must be in the file, whole and
    uncompressed as Keras writes it, so that their shapes tell what loading will allocate.

    Raises:
        InputError: if the file is missing, cannot be read, declares what it does not hold, or links
            to other files.
    """
    if not path.is_file():
        raise checks.InputError(
            f"Expected weights in {path}. Found no such file. Restore it, or pass "
            "load_weights=False for random weights."
        )
    shapes, total = [], 0

    def visit(name, node):
        nonlocal total
        if isinstance(node, h5py.Group):
            _check_links(node)
        elif isinstance(node, h5py.Dataset):
            _check_array(name, node)
            shapes.append(list(node.shape))
            total += node.nbytes
            if len(shapes) > MOST_ARRAYS:
                raise ValueError(f"more than {MOST_ARRAYS:,} arrays")

    try:
        with h5py.File(path, "r") as file:
            _check_links(file)
            file.visititems(visit)
        if total > path.stat().st_size:
            raise ValueError(f"it declares {total:,} bytes and has {path.stat().st_size:,}")
    except Exception as error:
        raise checks.InputError(
            f"Expected an HDF5 file of weights in {path}. Found one that cannot be read "
            f"({str(error)[:200]}). Restore it."
        ) from error
    return shapes


def _check_links(group):
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name[:100]!r} is a link to elsewhere")


def _check_array(name, array):
    # bfloat16 is two bytes of no type.
    is_number = array.dtype.kind in "fiu" or array.dtype.str == "|V2"
    is_whole = array.id.get_storage_size() == array.nbytes
    if not is_number or not is_whole or array.external or array.is_virtual or array.shape is None:
        raise ValueError(f"{name[:100]!r} is not an array of numbers that are all in the file")
