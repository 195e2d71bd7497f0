"""Folders that are divided into the parts of a data set: train, validation and test."""

import re
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.data.class_names import show_names
from keras_unrolled.data.listing import count_loose, is_image, list_folders

# Names of the parts of a data set, in lower case, by what TFDS calls the part.
PARTS = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "validate", "vld", "dev", "eval"),
    "test": ("test", "testing", "tst"),
}
# What may stand next to them, as in "train_images" and "Training Set".
ADDITIONS = {"set", "split", "data", "images", "imgs"}


def find_parts(folder: str | Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of the parts of a data set; none for a folder that is not divided.

    Args:
        folder: path. It is divided if it has a folder "train" and one "val" or "test", each of
            class folders; `PARTS` has other names of these.

    Returns:
        A dict from "train", "validation" and "test", as TFDS calls them, to paths; and notes on
        folders that were left alone and images next to them.

    Raises:
        InputError: if there are two folders for one part, and for what is no path.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> import keras_unrolled as ku
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("train/daisy", "train/tulip", "val/daisy"):
        ...         (Path(folder) / name).mkdir(parents=True)
        ...         Image.new("RGB", (8, 8)).save(Path(folder) / name / "1.png")
        ...     parts, notes = ku.data.find_parts(folder)
        >>> sorted(parts)
        ['train', 'validation']
    """
    folder = checks.readable("the data", folder)
    parts: dict[str, Path] = {}
    notes, others = [], []
    if not folder.is_dir():
        return {}, []
    for place in list_folders(folder):
        part = name_part(place.name)
        if part is None:
            others.append(place.name)
        elif not any(list_folders(place)):
            notes.append(f"{place} has no class folders and was left alone")
        elif part in parts:
            raise checks.InputError(
                f"Expected one folder for each part of the data in {folder}. Found "
                f"{parts[part].name} and {place.name}, both for {part}. Remove one of them."
            )
        else:
            parts[part] = place
    if "train" not in parts or (len(parts) == 1 and not notes):
        return {}, []
    if others:
        notes.append(f"{show_names(others)} in {folder} are no parts and were left alone")
    return parts, notes + count_loose(folder)


def name_part(name: str) -> str | None:
    """The part that a folder's name stands for, "train", "validation" or "test", or None."""
    words = [word for word in re.split(r"[\W_]+|(?<=[a-z])set$", name.lower()) if word]
    if len(words) > 1:
        words = [word for word in words if word not in ADDITIONS]
    return next((p for p, names in PARTS.items() if len(words) == 1 and words[0] in names), None)


def check_no_parts(folder: Path, places: list[Path]) -> None:
    """Rejects "classes" that hold the same folders, such as the parts of a data set.

    Args:
        folder: path of the data.
        places: its class folders.

    Raises:
        InputError: if all of them hold the same folders; if one is named as a part and holds folders
            of images only; or if two share folders that are named as parts.
    """
    if len(places) < 2:
        return
    inner = {p: frozenset(q.name for q in list_folders(p)) for p in places}
    first, *rest = inner.values()
    found = f"Expected a folder for each class in {folder}. Found "
    if len(first) > 1 and all(names == first for names in rest):
        raise checks.InputError(
            f"{found}{show_names(p.name for p in places)}, "
            f"each with the folders {show_names(sorted(first))}. If these are the classes, pass one "
            "of the folders, or name them train and val."
        )
    for place, names in inner.items():
        parts = {name_part(name) for name in names} - {None}
        if len(parts) > 1:
            raise checks.InputError(
                f"{found}the class {place.name} with the parts {show_names(sorted(names))} in it. "
                "Put the parts first, as in train/cat and val/cat, or pass a CSV file."
            )
        if _names_part(place.name) and len(names) > 1 and not any(map(is_image, place.iterdir())):
            others = show_names(p.name for p in places if p != place)
            raise checks.InputError(
                f"{found}{place.name}, which holds {show_names(sorted(names))} as a part of a data "
                f"set does, next to {others}. If these are the classes, pass {place}, or name the "
                "parts train, val and test."
            )


def _names_part(name):
    """Whether a word of a name is that of a part, as in "seg_train" or "train2017"."""
    return any(name_part(word) for word in re.split(r"[\W\d_]+", name) if word)
