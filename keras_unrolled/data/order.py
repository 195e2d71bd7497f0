"""The order in which a data set is published, which tables of others refer to."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unrolled import checks


@dataclass(frozen=True)
class Order:
    """Where examples and their classes are in a data set as it was published.

    Args:
        rows: int64 array `(n,)`, the number of each example in the data set, from 0.
        total: int, the examples of the data set, which may be more than n; 0 if their order is not known.
        names: tuple of the names of its k classes, in its order.
        classes: int64 array `(k,)`, the numbers of these classes in the labels of the examples.
    """

    rows: np.ndarray
    total: int
    names: tuple[str, ...]
    classes: np.ndarray

    def take(self, chosen: Any) -> "Order":
        """The order of the examples at the indices or in the slice `chosen`."""
        return dataclasses.replace(self, rows=self.rows[chosen])

    def renumber(self, places: np.ndarray) -> "Order":
        """The order once class i is numbered `places[i]` in the labels."""
        return dataclasses.replace(self, classes=places[self.classes])

    def check_rows(self, argument: str, path: Any, count: int) -> None:
        """Raises `InputError` unless a file at `path` has a row for each example of the data set."""
        if not self.total:
            raise checks.InputError(
                f"Expected images whose places in the published data set are known, for {argument}. TFDS shuffled "
                "these, and they have no numbers. Pass the images in the published order, as a folder or an array."
            )
        if count != self.total:
            raise checks.InputError(
                f"Expected {argument} with a row for each of the {checks.count(self.total, 'image')} of the data "
                f"set, in its order. Received {checks.count(count, 'row')} in {path}. Check that it is of this "
                "data set and this part of it."
            )


def number_examples(n: int, names: Sequence[str]) -> Order:
    """The order of examples whose data set is published as it is here.

    Classes that are named by numbers are ordered by these.

    Args:
        n: int, examples.
        names: the names of their classes.
    """
    places = np.arange(len(names))
    if all(re.fullmatch(r"\d{1,9}", str(name)) for name in names):
        places = np.argsort([int(name) for name in names], kind="stable")
    return Order(np.arange(n), n, tuple(names[i] for i in places), places)


def read_order(ids: Sequence[Any], total: int, names: Sequence[str]) -> Order:
    """The order by the ids that TFDS's data sets have, such as "test_00042" of CIFAR-10.

    TFDS shuffles what it prepares. It makes these ids by counting the images of the original files.

    Args:
        ids: strings, or bytes in ASCII.
        total: int, the examples of the split.
        names: the names of the classes.

    Returns:
        `Order`, with a `total` of 0 for ids of another kind, of several splits, or that are not counted from 0.
    """
    texts = [i.decode("ascii", "replace") if isinstance(i, bytes) else str(i) for i in ids]
    found = [match for text in texts if (match := re.fullmatch(r"([a-z]+)_(\d{1,9})", text))]
    rows = np.array([int(match[2]) for match in found], "int64")
    is_known = (
        len(found) == len(texts) > 0
        and len({match[1] for match in found}) == 1
        and rows.max() < total
        and len(np.unique(rows)) == len(rows)
    )
    order = number_examples(len(texts), names)
    return (
        dataclasses.replace(order, rows=rows, total=total)
        if is_known
        else dataclasses.replace(order, total=0)
    )
