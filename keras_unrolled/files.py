"""Folders that appear whole or not at all."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from keras_unrolled import checks


@contextmanager
def written_aside(folder, *, keep=False):
    """A new folder to write into, renamed to `folder` when all went well.

    Args:
        folder: path of the folder to make, or to replace.
        keep: bool, whether a folder that another process has made meanwhile stays, as in a
            cache; else it is replaced.

    Yields:
        The path of an empty folder beside it. After an error nothing is left of it.

    Raises:
        InputError: if the disk is full or may not be written.
    """
    folder = Path(folder)
    aside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        yield aside
        aside.chmod(0o755)  # mkdtemp makes it private
        former = aside.with_name(aside.name + ".former")
        if folder.exists() and not keep:
            folder.rename(former)
        try:
            aside.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            if not (keep and folder.is_dir()):
                raise
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise checks.InputError(
            f"Expected to write the folder {folder}. It failed: {error}. Nothing was left "
            "behind. Is there room on the disk, and may it be written?"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def check_room(folder, size):
    """Refuses to start what the disk cannot hold.

    Args:
        folder: path of a folder, which need not exist yet.
        size: int, bytes that will be written into it.

    Raises:
        InputError: if less is free.
    """
    place = Path(folder).expanduser().resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size:
        raise checks.InputError(
            f"Expected {size / 1e6:,.0f} MB of room for {folder}. Found {free / 1e6:,.0f} MB. "
            "Free some, or choose another place."
        )


def to_disk(folder):
    """Waits until every file of a folder is on the disk, so that a rename cannot outrun it."""
    for path in Path(folder).iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
