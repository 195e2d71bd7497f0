"""Folders of class folders."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.class_names import clean_name, describe_merged, show_names
from keras_unrolled.data.decoding import SUFFIXES
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.listing import (
    check_readable,
    count_kinds,
    count_loose,
    is_image,
    is_preset,
    list_folders,
    list_images,
    walk,
)
from keras_unrolled.data.parts import check_no_parts
from keras_unrolled.files import read_json


def load_folder(folder: str | Path, *, least: int = 2) -> Examples:
    """A folder of class folders as `Examples` whose images are `ImageFiles`.

    A class folder is searched with all folders in it, through links; of several links to one file
    in a class the first is taken. Hidden entries and those of the system are left out.

    Args:
        folder: path of a folder that holds one folder of images for each class, whose name is the
            class's name.
        least: int, classes that there must be; a part to score on may have one.

    Raises:
        InputError: if there is no such folder, a class without images, or too few classes;
            or if the class folders look like the parts of a data set.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> import keras_unrolled as ku
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("daisy", "tulip"):
        ...         (Path(folder) / name).mkdir()
        ...         Image.new("RGB", (8, 8)).save(Path(folder) / name / "1.png")
        ...     examples = ku.data.load_folder(folder)
        >>> examples.names, examples.labels.tolist()
        (('daisy', 'tulip'), [0, 1])
    """
    folder = checks.readable("the data", folder)
    hint = f"Expected a folder of class folders, such as {folder}/cats/1.png. "
    if not folder.is_dir():
        raise checks.InputError(f"{hint}Found no folder at {folder}. Check the path.")
    check_readable(folder)
    places = [p for p in list_folders(folder) if not is_preset(p)]
    found = {place: list(walk(place)) for place in places}
    images = {place: [p for p in paths if is_image(p)] for place, paths in found.items()}
    if not any(images.values()):
        flat = len(list_images(folder))
        content = f"{checks.count(flat, 'image')} in no class folder" if flat else "no image in it"
        if prepared := find_prepared(folder):
            raise checks.InputError(
                f"{hint}Found a data set as TFDS prepares it. Pass {prepared.name!r} for the data and "
                f"{str(prepared.parent)!r} for TFDS's data directory (--data-dir)."
            )
        raise checks.InputError(
            f"{hint}Found {content}. Put images ({', '.join(SUFFIXES)}) into a folder for each class."
        )
    empty = [f"{place.name} ({count_kinds(found[place])})" for place in places if not images[place]]
    if empty:
        raise checks.InputError(
            f"{hint}Found class folders without images: {show_names(empty)}. Add images "
            f"({', '.join(SUFFIXES)}) or remove the folder."
        )
    check_no_parts(folder, places)
    names = {place: clean_name(place.name, str(folder)) for place in places}
    classes = sorted(set(names.values()))
    if len(classes) < least:
        inner = [p.name for p in list_folders(places[0])]
        or_else = f", or pass {places[0]}, which holds {show_names(inner)}" if inner[1:] else ""
        raise checks.InputError(
            f"{hint}Found one class only, {classes[0]!r}. Classifying takes two or more: add a folder "
            f"for each other class{or_else}."
        )
    rows = [(classes.index(names[place]), path) for place in places for path in images[place]]
    rows.sort(key=lambda row: (row[0], row[1].as_posix()))
    rows, repeated, shared = _drop_repeated(rows)
    others = [path for paths in found.values() for path in paths if not is_image(path)]
    notes = [*describe_merged(place.name for place in places), *count_loose(folder)]
    if others:
        notes.append(
            f"left out {checks.count(len(others), 'file')} in {folder}: {count_kinds(others)}"
        )
    if repeated:
        notes.append(f"left out {checks.count(repeated, 'link')} to images of the same class")
    if shared:
        notes.append(f"kept {checks.count(shared, 'link')} to an image of another class in both")
    return Examples(
        ImageFiles([path for _, path in rows], root=folder),
        np.array([label for label, _ in rows], "int64"),
        tuple(classes),
        str(folder),
        tuple(notes),
    )


def _drop_repeated(
    rows: Iterable[tuple[int, Path]],
) -> tuple[list[tuple[int, Path]], int, int]:
    """Labels and paths without further links to a file of the same class, and how many these are.

    Such an image would be trained on and held out. The third value counts files of another class,
    too, which stay.
    """
    seen: dict[tuple[int, int], set[int]] = {}
    kept, repeated, shared = [], 0, 0
    for label, path in rows:
        status = path.stat()
        labels = seen.setdefault((status.st_dev, status.st_ino), set())
        if label in labels:
            repeated += 1
            continue
        shared += bool(labels)
        labels.add(label)
        kept.append((label, path))
    return kept, repeated, shared


def find_prepared(folder: Path) -> Path | None:
    """The folder of a data set that TFDS has prepared in a folder, as `cifar10` in `DIR/cifar10/3.0.2`."""
    for depth in range(4):
        for path in sorted(folder.glob("*/" * depth + "dataset_info.json")):
            for parent in path.parents:
                if parent.name == _read_name(path):
                    return parent
    return None


def _read_name(path):
    try:
        return read_json(path).get("name")
    except (checks.InputError, AttributeError):
        return None
