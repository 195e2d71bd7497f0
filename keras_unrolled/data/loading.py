"""Labelled images from wherever they are."""

import re
from pathlib import Path

import numpy as np

from keras_unrolled.data.examples import Examples, align, split_indices
from keras_unrolled.data.files import ImageFiles, load_csv, load_folder
from keras_unrolled.data.tfds import load_tfds


def load(
    source: str | Path, data_dir: str | Path | None = None, split: str | list[str] = "train"
) -> Examples:
    """Labelled images from a folder of class folders, a CSV file or TFDS.

    Args:
        source: path of a folder or of a `.csv` file, or a name as `load_tfds` takes it.
        data_dir: TFDS's data directory.
        split: of TFDS, where the name has none.

    Returns:
        `Examples`.

    Raises:
        InputError: as `load_folder`, `load_csv` and `load_tfds`.
    """
    path = Path(str(source)).expanduser()
    if path.suffix.lower() == ".csv":
        return load_csv(path)
    if path.is_dir() or not re.fullmatch(r"[a-z][a-z0-9_]*(/[\w.-]+)?(:[^/]+)?", str(source)):
        return load_folder(path)
    return load_tfds(source, data_dir, split)


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
    root = Path(str(source)).expanduser()
    held = next((root / n for n in ("val", "validation", "test") if (root / n).is_dir()), None)
    if held is None or not (root / "train").is_dir():
        examples = load(source, data_dir)
        return examples, *split_indices(examples, held_out, seed), False
    one, other = load_folder(root / "train"), load_folder(held)
    other = align(other, one.names)
    both = Examples(
        ImageFiles([*one.images.paths, *other.images.paths]),
        np.concatenate([one.labels, other.labels]),
        one.names,
        str(source),
    )
    return both, list(range(len(one))), list(range(len(one), len(both))), True
