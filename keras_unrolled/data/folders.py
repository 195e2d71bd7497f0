"""Folders of class folders, divided into parts or not."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.class_names import clean_name, describe_merged, show_names
from keras_unrolled.data.decoding import SUFFIXES
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles

# Names of the parts of a data set, in lower case, by what TFDS calls the part.
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev", "eval"),
    "test": ("test", "testing"),
}
# What systems and programs leave in folders; hidden entries are left out too.
SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "lost+found", "system volume information"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini"}


def load_folder(folder: str | Path) -> Examples:
    """A folder of class folders as `Examples` whose images are `ImageFiles`.

    A class folder is searched with all folders in it, through links. Hidden entries and those of
    the system are left out.

    Args:
        folder: path of a folder that holds one folder of images for each class, whose name is the
            class's name.

    Raises:
        InputError: if there is no such folder, a class without images, or fewer than two classes;
            or if the class folders look like the parts of a data set.
    """
    folder = Path(folder).expanduser()
    hint = f"Expected a folder of class folders, such as {folder}/cats/1.png. "
    if not folder.is_dir():
        raise checks.InputError(f"{hint}Found no folder at {folder}. Check the path.")
    _check_readable(folder)
    places = [p for p in _list_folders(folder) if not _is_preset(p)]
    found = {place: list(_walk(place)) for place in places}
    images = {place: [p for p in paths if _is_image(p)] for place, paths in found.items()}
    if not any(images.values()):
        flat = sum(map(_is_image, folder.iterdir()))
        content = f"{flat:,} images that are not in a class folder" if flat else "no image in it"
        raise checks.InputError(
            f"{hint}Found {content}. Put images ({', '.join(SUFFIXES)}) into a folder for each class."
        )
    empty = [
        f"{place.name} ({_count_kinds(found[place])})" for place in places if not images[place]
    ]
    if empty:
        raise checks.InputError(
            f"{hint}Found class folders without images: {show_names(empty)}. Add images "
            f"({', '.join(SUFFIXES)}) or remove the folder."
        )
    _check_no_parts(folder, places)
    names = {place: clean_name(place.name, str(folder)) for place in places}
    classes = sorted(set(names.values()))
    if len(classes) < 2:
        raise checks.InputError(
            f"{hint}Found one class only, {classes[0]!r}. Classifying takes two or more: add a folder "
            "for each other class."
        )
    rows = [(classes.index(names[place]), path) for place in places for path in images[place]]
    rows.sort(key=lambda row: (row[0], row[1].as_posix()))
    others = [path for paths in found.values() for path in paths if not _is_image(path)]
    notes = describe_merged(place.name for place in places)
    if others:
        notes.append(f"{len(others):,} files in {folder} were left out: {_count_kinds(others)}")
    return Examples(
        ImageFiles([path for _, path in rows], root=folder),
        np.array([label for label, _ in rows], "int64"),
        tuple(classes),
        str(folder),
        tuple(notes),
    )


def find_parts(folder: str | Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of the parts of a data set; none for a folder that is not divided.

    Args:
        folder: path. It is divided if it has a folder "train" and one "val" or "test", each of
            class folders; `PARTS` has other names of these.

    Returns:
        A dict from "train", "validation" and "test", as TFDS calls them, to paths; and notes on
        folders that were left alone.

    Raises:
        InputError: if there are two folders for one part.
    """
    folder = Path(folder).expanduser()
    parts: dict[str, Path] = {}
    notes = []
    if not folder.is_dir():
        return {}, []
    for place in _list_folders(folder):
        part = next((p for p, names in PARTS.items() if place.name.lower() in names), None)
        if part is None:
            continue
        if not any(_list_folders(place)):
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
    return parts, notes


def _check_no_parts(folder, places):
    """Rejects "classes" that are the same folders again, such as the parts of a data set."""
    inner = [frozenset(p.name for p in _list_folders(place)) for place in places]
    if len(places) > 1 and len(inner[0]) > 1 and len(set(inner)) == 1:
        raise checks.InputError(
            f"Expected a folder for each class in {folder}. Found {show_names(p.name for p in places)}, "
            f"each with the folders {show_names(sorted(inner[0]))}. If these are the classes, pass one "
            "of the folders, or name them train and val."
        )


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file below a folder, through links, but what is hidden or the system's."""
    real = folder.resolve()
    if real in above:  # a link to a folder around it
        return
    _check_readable(folder)
    for entry in sorted(folder.iterdir()):
        if _is_system(entry):
            continue
        if entry.is_dir():
            yield from _walk(entry, (*above, real))
        elif entry.is_file():
            yield entry


def _list_folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not _is_system(p) and p.is_dir())


def _is_system(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith(".") or name in SYSTEM or name in SYSTEM_FILES


def _is_preset(folder: Path) -> bool:
    """Whether a folder is a preset, or the state of a run, that was put among the data."""
    return (folder / "record.json").is_file() or folder.name.endswith(".partial")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _count_kinds(paths: list[Path]) -> str:
    """How many files there are of each suffix, "3 .txt, 1 .heic"."""
    kinds = Counter(path.suffix.lower() or "without a suffix" for path in paths)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(10)) or "no files"


def _check_readable(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise checks.InputError(
            f"Expected to read the folder {folder}. It may not be read. Change its permissions, or "
            "move it away."
        )
