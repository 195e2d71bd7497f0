"""Which files of a folder count: not those that systems and programs leave in it."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.data.decoding import SUFFIXES

# What systems and programs leave in folders; hidden entries are left out too.
SYSTEM = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "@tmp",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "network trash folder",
    "system volume information",
    "temporary items",
}
SYSTEM_FILES = {"desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r", "thumbs.db"}


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder by name, but hidden ones and those of the system."""
    return sorted(p for p in folder.iterdir() if not is_system(p.name) and os.path.isdir(p))


def walk(
    folder: Path, *, skip_closed: bool = False, above: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """Every entry below a folder that is no folder, through links.

    Hidden entries, those of the system and presets are left out. An entry that cannot be looked at,
    such as another user's link in /proc, counts as no folder.

    Args:
        folder: path.
        skip_closed: bool, whether a folder in it that may not be read is given as an entry.
        above: paths of the folders around it that were walked through.

    Raises:
        InputError: for a folder that may not be read.
    """
    real = folder.resolve()
    if real in above:  # a link to a folder around it
        return
    try:
        check_readable(folder)
        entries = sorted(folder.iterdir())
    except (checks.InputError, OSError):
        if not (skip_closed and above):
            raise
        yield folder
        return
    for entry in entries:
        if is_system(entry.name):
            continue
        if not os.path.isdir(entry):  # Path.is_dir raises PermissionError
            yield entry
        elif not is_preset(entry):
            yield from walk(entry, skip_closed=skip_closed, above=(*above, real))


def is_preset(folder: Path) -> bool:
    """Whether a folder is a preset, or the state of a run, that was put among the data."""
    return os.path.isfile(folder / "record.json") or folder.name.endswith(".partial")


def is_image(path: Path) -> bool:
    """Whether a path is that of a file with the suffix of an image."""
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)


def list_images(folder: Path) -> list[Path]:
    """The images in a folder itself, by name."""
    return sorted(p for p in folder.iterdir() if not is_system(p.name) and is_image(p))


def count_loose(folder: Path) -> list[str]:
    """A note on images that lie next to the folders in a folder, if there are any."""
    number = len(list_images(folder))
    note = f"left out {checks.count(number, 'image')} in {folder} itself, in no class folder"
    return [note] if number else []


def count_kinds(paths: Iterable[Path]) -> str:
    """How many entries there are of each kind, "3 .txt, 1 broken link"."""
    kinds = Counter(map(_describe_kind, paths))
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(10)) or "no files"


def _describe_kind(path):
    if os.path.isfile(path):
        return path.suffix.lower() or "without a suffix"
    try:
        path.stat()
    except PermissionError:
        return "unreadable"
    except OSError:
        return "broken link"
    if os.path.isdir(path):
        return "unreadable folder"
    return "pipe or device"


def check_readable(folder: Path) -> None:
    """Raises `InputError` for a folder that may not be read."""
    if not os.access(folder, os.R_OK | os.X_OK):
        raise checks.InputError(
            f"Expected to read the folder {folder}. It may not be read. Change its permissions, or "
            "move it away."
        )


def is_system(name: str) -> bool:
    """Whether an entry with this name is hidden or the system's."""
    name = name.lower()
    return name.startswith(".") or name in SYSTEM or name in SYSTEM_FILES
