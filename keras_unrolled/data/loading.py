"""Labeled images from wherever they are."""

import re
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples, align, split_indices
from keras_unrolled.data.files import ImageFiles, load_csv, load_folder
from keras_unrolled.data.tfds import load_tfds


def load(
    source: str | Path, data_dir: str | Path | None = None, split: str | list[str] = "train"
) -> Examples:
    """Labeled images from a folder of class folders, a CSV file or TFDS.

    Args:
        source: path of a folder or of a `.csv` file, or a name as `load_tfds` takes it. Of a folder
            that is divided into `train` and `val`, `validation` or `test` one of these is loaded.
        data_dir: TFDS's data directory.
        split: string or list of strings, the split where the source has several and names none:
            the first one that it has.

    Returns:
        `Examples`.

    Raises:
        InputError: as `load_folder`, `load_csv` and `load_tfds`, and for a data directory of a
            folder or CSV file.
    """
    path = Path(str(source)).expanduser()
    is_csv = path.suffix.lower() == ".csv"
    if is_csv or path.is_dir():
        _check_no_data_dir(source, data_dir)
    if is_csv:
        return load_csv(path)
    if path.is_dir() or not re.fullmatch(r"[a-z][a-z0-9_]*(/[\w.-]+)?(:[^/]+)?", str(source)):
        folders = find_splits(path)
        wanted = [split] if isinstance(split, str) else split
        return load_folder(next((folders[s] for s in wanted if s in folders), path))
    return load_tfds(source, data_dir, split)


def find_splits(folder: str | Path) -> dict[str, Path]:
    """The folders of a data set's splits, {} for a folder that is not divided.

    Args:
        folder: path. It is divided if it has `train` and one of `val`, `validation` and `test`.

    Returns:
        A dict from "train", "validation" and "test", as TFDS calls them, to paths.
    """
    names = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
    folder = Path(folder).expanduser()
    splits = {split: folder / name for name, split in names.items() if (folder / name).is_dir()}
    return splits if "train" in splits and len(splits) > 1 else {}


def _check_no_data_dir(source, data_dir):
    if data_dir is not None:
        raise checks.InputError(
            f"Expected a data directory for a data set of TFDS only. Received: data_dir={data_dir!r} "
            f"for {source}. Leave it out."
        )


def load_parts(
    source: str | Path | Examples, held_out: float, seed: int, data_dir: str | Path | None = None
) -> tuple[Examples, list[int], list[int], bool]:
    """Images to train on and images held out.

    Args:
        source: `Examples`, or as in `load`. A folder that holds `train` and one of `val`, `validation` and
            `test`, each of class folders, is divided already.
        held_out: float in (0, 1), the part of each class to hold out otherwise.
        seed: int, of that.
        data_dir: TFDS's data directory.

    Returns:
        `Examples`, two lists of indices into them, and whether the data were divided already.

    Raises:
        InputError: as `load`, and as `split_indices`.
    """
    if isinstance(source, Examples):
        return source, *split_indices(source, held_out, seed), False
    folders = find_splits(str(source))
    if not folders:
        examples = load(source, data_dir)
        return examples, *split_indices(examples, held_out, seed), False
    _check_no_data_dir(source, data_dir)
    one = load_folder(folders["train"])
    other = load_folder(folders.get("validation") or folders["test"])
    other = align(other, one.names)
    both = Examples(
        ImageFiles([*one.images.paths, *other.images.paths]),
        np.concatenate([one.labels, other.labels]),
        one.names,
        str(source),
    )
    return both, list(range(len(one))), list(range(len(one), len(both))), True
