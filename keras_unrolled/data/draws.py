"""Order and augmentation of a run as functions of seed, epoch and step, in NumPy.

Both engines take their draws from here and so see the same images. They are raw bits of Philox, a
counter-based generator whose stream NumPy keeps from version to version.
"""

import functools

import numpy as np

_ORDER, _CROP = 0, 1  # kinds of draws


def _raw(seed, kind, number, count):
    return np.random.Philox(key=[seed, number], counter=[0, 0, 0, kind]).random_raw(count)


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of the examples in an epoch, an int32 permutation `(count,)`.

    Args:
        seed: int, the recipe's.
        epoch: int, from 0.
        count: int, examples.
    """
    order = np.argsort(_raw(seed, _ORDER, epoch, count), kind="stable").astype("int32")
    order.flags.writeable = False
    return order


def crop_draws(seed: int, step: int, count: int, pad: int) -> np.ndarray:
    """Where the crops of a step's padded images begin, and which images are flipped.

    Args:
        seed: int, the recipe's.
        step: int, from 0.
        count: int, examples of a whole batch.
        pad: int, pixels on each side.

    Returns:
        int32 array `(count, 3)`: top and left, from 0 to `2 * pad`, and 1 for a flip, else 0.
    """
    numbers = _raw(seed, _CROP, step, 3 * count).reshape(count, 3)
    # The remainder of 64 bits is uniform to one part in 10 ** 18.
    return (numbers % np.array([2 * pad + 1, 2 * pad + 1, 2], "uint64")).astype("int32")
