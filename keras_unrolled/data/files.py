"""Image files: single ones, folders and CSV files."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.examples import Examples

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


def read_image(path: str | Path) -> np.ndarray:
    """One image file as a uint8 array `(height, width, 3)`; grayscale and CMYK are converted.

    Raises:
        InputError: if the file is missing or does not decode.
    """
    check_exists(path)
    return decode_image(path, path)


def check_exists(path):
    """Raises `InputError` if there is no file at a path."""
    if not Path(path).is_file():
        raise checks.InputError(
            f"Expected an image file. Found none at {path}. Check the path; "
            f"{', '.join(SUFFIXES)} files can be read."
        )


def check_image(path):
    """Decodes an image file without keeping it.

    A JPEG is decoded at a fraction of its size, which reads all of it in a fraction of the time.

    Returns:
        None, or a string that names the file and what is wrong with it.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (64, 64))
            image.load()
    except Exception as error:  # whatever a damaged file leads to
        return f"{path} does not decode ({error})"
    return None


def decode_image(file, name):
    """An encoded image as `read_image` gives it; `name` is what a message calls it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise checks.InputError(
            f"Expected an image that decodes. {name} does not ({error}). Fix or remove it."
        ) from error


def list_folder(folder: str | Path) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """The image files of a folder of class folders.

    Args:
        folder: path of a folder that holds one folder of images for each class, whose
            name is the class's name.

    Returns:
        A list of paths, a list of their classes' indices, and a tuple of the names, all in
        alphabetical order.

    Raises:
        InputError: if there is no such folder, fewer than two classes, or no image.
    """
    folder = Path(folder).expanduser()
    layout = f"Expected a folder of class folders, such as {folder}/cats/1.png. "
    if not folder.is_dir():
        raise checks.InputError(f"{layout}Found no folder at {folder}. Check the path.")
    classes = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        if not os.access(place, os.R_OK | os.X_OK):
            raise checks.InputError(
                f"Expected to read the class folder {place}. It may not be read. Change its "
                "permissions, or move it away."
            )
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if files:
            classes[place.name] = files
    if not classes:
        flat = sum(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
        content = f"{flat:,} images that are not in a class folder" if flat else "no image in it"
        raise checks.InputError(
            f"{layout}Found {content}. Put images ({', '.join(SUFFIXES)}) into a "
            "folder for each class."
        )
    if len(classes) < 2:
        raise checks.InputError(
            f"{layout}Found one class only, {next(iter(classes))!r}. Classifying takes two "
            "or more: add a folder for each other class."
        )
    paths = [path for files in classes.values() for path in files]
    labels = [i for i, files in enumerate(classes.values()) for _ in files]
    return paths, labels, tuple(classes)


class ImageFiles:
    """The images of a list of files, read when they are accessed.

    Args:
        paths: list of paths.

    A slice gives a list of uint8 arrays `(height, width, 3)`, each of its own size.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen):
        if isinstance(chosen, slice):
            return [read_image(path) for path in self.paths[chosen]]
        return ImageFiles(self.paths[i] for i in chosen)

    def part(self, start: int, stop: int) -> "ImageFiles":
        """The images `start:stop`, not read yet."""
        return ImageFiles(self.paths[start:stop])


def load_csv(path: str | Path) -> Examples:
    """A CSV file with the columns "file" and "label" as `Examples` whose images are `ImageFiles`.

    Args:
        path: path; files are named from its folder on.

    Raises:
        InputError: if a column or a file is missing, or there are fewer than two classes.
    """
    path = Path(path).expanduser()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise checks.InputError(
            f"Expected a CSV file of images and labels at {path}. It cannot be read ({error})."
        ) from error
    if not {"file", "label"} <= set(columns):
        raise checks.InputError(
            f"Expected the columns file and label in {path}. Found "
            f"{', '.join(columns or ['nothing'])}. Name them so in the first line."
        )
    for number, row in enumerate(rows, start=2):
        if not row["file"] or not row["label"]:
            raise checks.InputError(
                f"Expected a file and a label in each line of {path}. Line {number} lacks one. "
                "Complete or remove it."
            )
    paths = [path.parent / row["file"] for row in rows]
    missing = [str(p) for p in paths if not p.is_file()]
    if missing:
        raise checks.InputError(
            f"Expected the files that {path} names. {len(missing):,} of {len(paths):,} are missing: "
            f"{', '.join(missing[:3])}. Paths count from the folder of the CSV file."
        )
    names = tuple(sorted({row["label"] for row in rows}))
    if len(names) < 2:
        raise checks.InputError(
            f"Expected two classes or more in {path}. Found {len(names)}. Add images of others."
        )
    labels = np.array([names.index(row["label"]) for row in rows], "int64")
    return Examples(ImageFiles(paths), labels, names, path.name)


def load_folder(folder: str | Path) -> Examples:
    """A folder of class folders as `Examples` whose images are `ImageFiles`.

    Raises:
        InputError: as `list_folder`.
    """
    paths, labels, names = list_folder(folder)
    return Examples(ImageFiles(paths), np.asarray(labels, "int64"), names, str(folder))
