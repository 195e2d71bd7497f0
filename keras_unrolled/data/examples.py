"""Labeled images, and how they are divided and labeled."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.class_names import read_numbers, show_names
from keras_unrolled.data.labels import as_array
from keras_unrolled.data.order import Order, number_examples
from keras_unrolled.models.inputs import tidy


@dataclass(frozen=True)
class Examples:
    """Labeled images.

    Args:
        images: uint8 array `(n, height, width, 3)`, `ImageFiles` or `TFDSImages`.
        labels: int64 array or list `(n,)`, indices into `names`; kept as an array.
        names: tuple of the classes' names.
        split: what part of which data this is, for a report.
        notes: what a user should know of how the data were read, such as files left out.
        order: where images and classes are in the data set as published; by default as they are here.

    Example:
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> len(ku.data.Examples(images, [0, 1], ("no", "yes"), "all"))
        2
    """

    images: Any
    labels: np.ndarray
    names: tuple[str, ...]
    split: str
    notes: tuple[str, ...] = ()
    order: Order = None  # type: ignore[assignment]  # always set below

    def __post_init__(self):
        object.__setattr__(self, "labels", as_array(self.labels))
        if self.order is None:
            object.__setattr__(self, "order", number_examples(self.labels.size, self.names))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: Sequence[int] | np.ndarray) -> "Examples":
        """The examples at the indices `chosen`, in that order."""
        order = self.order.take(chosen)
        images, labels = self.images[chosen], self.labels[chosen]
        return dataclasses.replace(self, images=images, labels=labels, order=order)

    def part(self, split: str, start: int, stop: int | None = None) -> "Examples":
        """The examples `start:stop`, named as a TFDS split, "train[45000:]"."""
        start, stop, _ = slice(start, stop).indices(len(self))
        ends = (start or "", "" if stop == len(self) else stop)
        name = split if stop - start == len(self) else f"{split}[{ends[0]}:{ends[1]}]"
        images = self.images
        images = images[start:stop] if isinstance(images, np.ndarray) else images.part(start, stop)
        labels, order = self.labels[start:stop], self.order.take(slice(start, stop))
        return dataclasses.replace(self, images=images, labels=labels, split=name, order=order)

    def keys(self) -> list[str]:
        """What identifies each image, wherever the data are and in whatever order."""
        if isinstance(self.images, np.ndarray):
            return [hashlib.sha256(np.ascontiguousarray(x).data).hexdigest() for x in self.images]
        return self.images.keys()


def split_indices(examples: Examples, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Splits examples at random, class by class.

    Which part an image is in follows from its key and the seed, so that it stays there when others
    are added or removed, as far as the sizes of the parts allow.

    Args:
        examples: `Examples`; every class needs two or more.
        fraction: float in (0, 1), the part of each class to hold out, one example at least.
        seed: int.

    Returns:
        Two sorted lists of indices: to train on, and held out.

    Raises:
        InputError: if a class has a single example.

    Example:
        >>> import keras_unrolled as ku
        >>> train, held = ku.data.split_indices(ku.data.load_sample(), 0.2, seed=0)
        >>> len(train), len(held)
        (800, 200)
    """
    keys = examples.keys()
    kept, held = [], []
    for index, name in enumerate(examples.names):
        members = np.flatnonzero(examples.labels == index).tolist()
        if len(members) < 2:
            raise checks.InputError(
                f"Expected two images or more of each class, one to hold out. Found "
                f"{len(members)} of {name!r}. Add images or remove the class."
            )
        members.sort(key=lambda i: (_draw(f"{seed} {keys[i]}"), i))
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held += members[:count]
        kept += members[count:]
    return sorted(kept), sorted(held)


def _draw(text):
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def align(
    examples: Examples,
    labels: Sequence[str] | None,
    *,
    count: int | None = None,
    owner: str = "the network",
) -> Examples:
    """Renumbers examples by a network's labels.

    Args:
        examples: `Examples`.
        labels: list of the network's class names, or None for a network without names. For a
            network that knows ImageNet-1k, classes may be named by WordNet's ids.
        count: optional int, the network's number of classes, for one without names.
        owner: string, what has these labels, for a message.

    Returns:
        `Examples` whose labels are indices into `labels`.

    Raises:
        InputError: if a class is not among the network's, or more than one of them has its name; or
            if the classes are numbers that may be counted from 1.

    Example:
        >>> import keras_unrolled as ku
        >>> sample = ku.data.load_sample()
        >>> turned = ku.data.align(sample, sample.names[::-1])
        >>> bool((turned.labels == 9 - sample.labels).all())
        True
    """
    if labels is None:
        return examples if count is None else _align_numbers(examples, count)
    if list(examples.names) == list(labels):
        return examples
    labels = [tidy(label) for label in labels]
    if len(labels) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in examples.names):
        from keras_unrolled import models

        if labels == models.imagenet_labels():
            labels = models.imagenet_labels(synsets=True)
    names, notes = examples.names, examples.notes
    numbers = set(names).isdisjoint(labels) and _are_numbers(names)
    if numbers and _may_begin_at_one(names, len(labels)):
        raise _ambiguous(names, owner)
    numbers = numbers and max(map(int, names)) < len(labels)
    if numbers:
        names = tuple(labels[int(name)] for name in names)
        notes = (*notes, "the classes were taken as numbers of the network's classes, from 0")
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise checks.InputError(
            f"Expected the classes of {owner}: {show_names(labels)}. Found others in "
            f"the data: {show_names(unknown)}. Rename them, or fine-tune on the data first."
        )
    twice = [name for name in names if labels.count(name) > 1]
    if twice and not numbers:
        raise checks.InputError(
            f"Expected classes that one class of {owner} is named as. Found {show_names(twice)}, which "
            "several are. Name them by their numbers, or by the ids of WordNet (n01440764)."
        )
    places = np.array([int(n) for n in examples.names] if numbers else [*map(labels.index, names)])
    return dataclasses.replace(
        examples,
        labels=places[examples.labels],
        names=tuple(labels),
        notes=notes,
        order=examples.order.renumber(places),
    )


def _align_numbers(examples, count):
    """`align` for a network of `count` classes without names."""
    names = examples.names
    numbers = np.array([*map(int, names)]) if _are_numbers(names) else None
    if numbers is not None and sorted(numbers) == [*range(1, count + 1)]:
        places, note = numbers - 1, "as numbers of its classes, from 1"
    elif numbers is not None and _may_begin_at_one(names, count):
        raise _ambiguous(names, "the network")
    elif numbers is not None and max(numbers) < count:
        places, note = numbers, "as numbers of its classes, from 0"
    elif len(names) == count:
        order = np.argsort(read_numbers(names) or np.arange(count), kind="stable")
        places = np.argsort(order)
        note = f"in their order: {show_names(names[i] for i in order)}"
    else:
        raise checks.InputError(
            f"Expected {count:,} classes, or class numbers from 0, for a network of {count:,} classes "
            f"without names. Found {show_names(names)}. Rename them to numbers."
        )
    numbered = {int(place): name for place, name in zip(places, names)}
    return dataclasses.replace(
        examples,
        labels=places[examples.labels],
        names=tuple(numbered.get(i, str(i)) for i in range(count)),
        notes=(
            *examples.notes,
            f"the network's classes have no names; those of the data were taken {note}",
        ),
        order=examples.order.renumber(places),
    )


def _are_numbers(names):
    return all(re.fullmatch(r"\d{1,9}", name) for name in names)


def _may_begin_at_one(names, count):
    """Whether numbers of some of `count` classes leave out 0, but not `count` or any up to the last."""
    numbers = set(map(int, names))
    last = max(numbers)
    return 0 not in numbers and (last == count or 1 < len(numbers) == last < count)


def _ambiguous(names, owner):
    numbers = sorted(map(int, names))
    return checks.InputError(
        f"Expected the names of the classes of {owner}, or their numbers from 0. Found the numbers "
        f"{numbers[0]} to {numbers[-1]} without 0, which may be counted from 1. Number the classes from "
        "0, or name them."
    )
