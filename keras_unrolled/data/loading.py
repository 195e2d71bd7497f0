"""Labeled images from wherever they are."""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data import archives, tables
from keras_unrolled.data.broken import check_images
from keras_unrolled.data.class_names import show_names
from keras_unrolled.data.examples import Examples, align, split_indices
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.folders import load_folder
from keras_unrolled.data.hub_datasets import is_address, load_hub_dataset
from keras_unrolled.data.memory import as_examples, is_path
from keras_unrolled.data.parts import find_parts
from keras_unrolled.data.tfds import TFDSImages, is_prepared, load_tfds

TFDS_NAME = r"[a-z][a-z0-9_]*(/[\w.-]+)?(:[^/]+)?"


def load(
    source: str | Path, data_dir: str | Path | None = None, split: str | list[str] = "train"
) -> Examples:
    """Labeled images from a folder of class folders, a zip file of one, a CSV file, TFDS or the Hub.

    Args:
        source: path of a folder, of a `.zip` file of one, or of a `.csv` or `.tsv` file, a name as
            `load_tfds` takes it, or an address as `load_hub_dataset` takes it. Of a folder that is
            divided as `find_parts` has it one part is loaded.
        data_dir: TFDS's data directory. With it, a name of TFDS may be that of a folder, too, which
            TFDS has prepared.
        split: string or list of strings, the split where the source has several and names none:
            the first one that it has.

    Raises:
        InputError: as `load_folder`, `load_csv`, `load_tfds` and `load_hub_dataset`, for a data directory of a folder
            or file, for a file of another kind, for a zip file that is damaged or not safe to unpack,
            and for a divided folder that has none of the splits.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.data.load("pictures/")  # doctest: +SKIP
        >>> ku.data.load("cifar10:train[:5%]", data_dir="tfds/")  # doctest: +SKIP
    """
    if is_address(source):
        check_no_data_dir(source, data_dir)
        return load_hub_dataset(source, split)
    path = checks.readable("the data", source)
    is_name = re.fullmatch(TFDS_NAME, str(source)) is not None
    if is_name and data_dir is not None and is_prepared(path):
        return load_tfds(source, data_dir, split)
    is_table = path.suffix.lower() in tables.SUFFIXES
    if is_table or path.is_dir() or archives.is_archive(path):
        check_no_data_dir(source, data_dir)
    if archives.is_archive(path):
        with archives.unpacked(path) as folder:
            return archives.as_read_from(load(folder, split=split), folder, path)
    if is_table:
        return tables.load_csv(path)
    _check_no_other_file(path, str(source))
    if path.is_dir() or not is_name:
        folders, notes = find_parts(path)
        if not folders:
            return load_folder(path)
        wanted = [split] if isinstance(split, str) else split
        part = next((s for s in wanted if s in folders), None)
        if part is None:
            raise checks.InputError(
                f"Expected a folder {' or '.join(wanted)} in {path}. Found "
                f"{', '.join(p.name for p in folders.values())}. Pass one of them by its own path."
            )
        return _with_notes(load_folder(folders[part]), notes)
    return load_tfds(source, data_dir, split)


@dataclass(frozen=True)
class Parts:
    """Images to train on, to choose by and to score once.

    Args:
        examples: `Examples` of the first two.
        train: indices to train on.
        held: indices that are held out, to watch and choose by.
        test: optional `Examples` that are scored once at the end.
        divided: bool, whether the data came divided into the first two.
    """

    examples: Examples
    train: list[int]
    held: list[int]
    test: Examples | None = None
    divided: bool = False


def load_parts(
    source: Any,
    held_out: float,
    seed: int,
    data_dir: str | Path | None = None,
    *,
    chooses: bool = False,
    skip_broken: bool = False,
) -> Parts:
    """The parts of a data set, which are divided here unless its folder is divided already.

    Args:
        source: `Examples` or a pair of images and labels as `as_examples` takes it, or as in `load`.
        held_out: float in (0, 1), the part of each class to hold out where there is no validation
            part.
        seed: int, of that.
        data_dir: TFDS's data directory.
        chooses: bool, whether something is chosen by the images held out. Then a test part is not
            used for that.
        skip_broken: bool, whether image files that do not decode are left out.

    Raises:
        InputError: as `load`, `check_images` and `split_indices`, and for data with a single class.

    Example:
        >>> import keras_unrolled as ku
        >>> parts = ku.data.load_parts(ku.data.load_sample(), held_out=0.2, seed=0)
        >>> len(parts.train), len(parts.held), parts.divided
        (800, 200, False)
    """

    def read(place):
        return check_images(place, skip=skip_broken)

    if not is_path(source):
        check_no_data_dir("images in memory", data_dir)
        examples, has_labels = as_examples(source)
        if not has_labels:
            raise checks.InputError(
                "Expected labels with the images to train on. Received an array alone. Pass the pair "
                "(images, labels), or Examples."
            )
        return _divide(examples, held_out, seed)
    if is_address(source):
        return _divide(read(load(source, data_dir)), held_out, seed)
    path = checks.readable("the data", source)
    if archives.is_archive(path):
        check_no_data_dir(source, data_dir)
        with archives.unpacked(path) as folder:
            parts = load_parts(folder, held_out, seed, chooses=chooses, skip_broken=skip_broken)
            return _from_archive(parts, folder, path)
    folders, notes = find_parts(source)
    if not folders:
        return _divide(read(load(source, data_dir)), held_out, seed)
    check_no_data_dir(source, data_dir)
    train = read(_with_notes(load_folder(folders["train"]), notes))

    def align_part(name):
        part = read(load_folder(folders[name], least=1))
        return align(part, train.names, owner=f"the training part, {folders['train']}")

    others = {name: align_part(name) for name in ("validation", "test") if name in folders}
    for part in others.values():
        train = _with_notes(train, [*part.notes, *_count_shared(train, part)])
    held, test = others.get("validation"), others.get("test")
    if held is None and not chooses:
        held, test = test, None
    if held is None:
        return _divide(train, held_out, seed, test)
    both = dataclasses.replace(
        train,
        images=ImageFiles(
            [*train.images.paths, *held.images.paths], root=checks.expand(str(source))
        ),
        labels=np.concatenate([train.labels, held.labels]),
        split=str(source),
        order=None,
    )
    indices = list(range(len(both)))
    return Parts(both, indices[: len(train)], indices[len(train) :], test, divided=True)


def _from_archive(parts, folder, path):
    """`Parts` of an unpacked folder, which name the archive instead."""
    examples, test = (
        None if part is None else archives.as_read_from(part, folder, path)
        for part in (parts.examples, parts.test)
    )
    return dataclasses.replace(parts, examples=examples, test=test)


def _divide(examples, held_out, seed, test=None):
    """`Parts` of examples, some of which are held out."""
    if len(examples.names) < 2:
        raise checks.InputError(
            f"Expected images of two classes or more to train on. Received one class, "
            f"{show_names(examples.names)}. Add images of a second class."
        )
    return Parts(examples, *split_indices(examples, held_out, seed), test)


def _count_shared(train, part):
    """A note on files of a part that are in the training part, too, if there are any."""
    known = set(train.images.find_inodes())
    number = sum(inode in known for inode in part.images.find_inodes())
    files = checks.count(number, "file")
    note = f"found {files} of {part.split} in {train.split} too, which raises the score"
    return [note] if number else []


def choose(examples: Examples, count: int, seed: int = 0) -> Examples:
    """As many of some examples; `split` says which.

    Of data whose classes come in runs, as those of folders do, and of data whose first images lack
    classes, images are drawn at random, evenly over the classes. Of others, and of TFDS's, which are
    read from their start, the first ones are taken.
    """
    total = len(examples)
    if total <= count:
        return examples
    if isinstance(examples.images, TFDSImages) or not _come_in_runs(examples.labels, count):
        return examples.part(examples.split, 0, count)
    order = np.random.default_rng(seed).permutation(total)
    order = order[np.argsort(examples.labels[order], kind="stable")]
    places = ((np.arange(count) + 0.5) * total / count).astype(int)
    part = examples.take(np.sort(order[places]))
    split = f"{examples.split}, {count:,} of {total:,} drawn with seed {seed}"
    return dataclasses.replace(part, split=split)


def _come_in_runs(labels, count):
    """Whether the first labels lack some, or they change half as often as by chance, or less."""
    shares = np.bincount(labels) / len(labels)
    changes = np.mean(labels[1:] != labels[:-1])
    lack = len(np.unique(labels[:count])) < np.count_nonzero(shares)
    return lack or changes <= (1 - shares @ shares) / 2


def _with_notes(examples: Examples, notes: list[str]) -> Examples:
    return dataclasses.replace(examples, notes=(*examples.notes, *notes))


def _check_no_other_file(path, source):
    """Raises `InputError` for a file that is no table; one named as a word may be TFDS's name."""
    if os.path.isfile(path) and not re.fullmatch(r"[a-z][a-z0-9_]*", source):
        raise checks.InputError(
            f"Expected a folder, a zip file of one, a table of images and labels "
            f"({' or '.join(tables.SUFFIXES)}) or a data set of TFDS. {source} is a file whose name ends "
            f"in {path.suffix or 'none of these'}. If it is one of them, rename it."
        )


def check_no_data_dir(source: Any, data_dir: Any) -> None:
    """Raises `InputError` for a data directory of TFDS together with other data."""
    if data_dir is not None:
        raise checks.InputError(
            f"Expected a data directory for a data set of TFDS only. Received: data_dir={str(data_dir)!r} "
            f"for {source}. Leave it out."
        )
