"""Files of weights: what they hold, found out before anything of that size is allocated."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_unrolled import checks

MOST_ARRAYS = 100_000  # of a file; a network of 2,000 blocks has half as many


@dataclass(frozen=True)
class StoredArray:
    """Where an array of numbers is in a file.

    Args:
        shape: list of int.
        dtype: its NumPy dtype; two bytes of no type for bfloat16.
        offset: int, of its first byte; None if it is in several pieces.
    """

    shape: list[int]
    dtype: np.dtype
    offset: int | None


def read_arrays(path: Path) -> dict[str, StoredArray]:
    """Every variable in a file of weights, by its place, which tells what loading will allocate.

    Raises:
        InputError: if the file is missing, cannot be read, declares what it does not hold, or links
            to other files.
    """
    if not path.is_file():
        raise checks.InputError(
            f"Expected weights in {path}. Found no such file. Restore it, or pass "
            "load_weights=False for random weights."
        )
    try:
        return list_arrays(path)
    except Exception as error:
        raise checks.InputError(
            f"Expected an HDF5 file of weights in {path}. Found one that cannot be read "
            f"({str(error)[:200]}). Restore it."
        ) from error


def list_arrays(source: Any) -> dict[str, StoredArray]:
    """Every array in an HDF5 file, by its place, such as "layers/stem/conv/vars/0".

    A file can declare arrays of any size without holding them. Here each must be in the file, whole and
    uncompressed as Keras writes it.

    Args:
        source: path of the file, or the file opened in binary mode.

    Raises:
        Exception: of whatever kind, if it cannot be read, or declares more than it holds.
    """
    arrays: dict[str, StoredArray] = {}
    with h5py.File(source, "r") as file:
        _list(file, "", arrays, set())
    total = sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays.values())
    size = source.seek(0, os.SEEK_END) if hasattr(source, "seek") else os.path.getsize(source)
    if total > size:
        raise ValueError(f"it declares {total:,} bytes and has {size:,}")
    return arrays


def _list(group, place, arrays, seen):
    """Adds the arrays of a group and of those within, each group once, whatever leads to it."""
    seen.add(group.id)
    for name in group:
        if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{name[:100]!r} is a link to elsewhere")
        node = group[name]
        if isinstance(node, h5py.Group):
            if node.id not in seen:
                _list(node, f"{place}{name}/", arrays, seen)
        elif isinstance(node, h5py.Dataset):
            _check_array(name, node)
            arrays[place + name] = StoredArray(list(node.shape), node.dtype, node.id.get_offset())
            if len(arrays) > MOST_ARRAYS:
                raise ValueError(f"more than {MOST_ARRAYS:,} arrays")


def _check_array(name, array):
    # bfloat16 is two bytes of no type.
    is_number = array.dtype.kind in "fiu" or array.dtype.str == "|V2"
    is_whole = array.id.get_storage_size() == array.nbytes
    if not is_number or not is_whole or array.external or array.is_virtual or array.shape is None:
        raise ValueError(f"{name[:100]!r} is not an array of numbers that are all in the file")
