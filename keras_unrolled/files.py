"""Folders that appear whole or not at all."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(folder, *, keep=False):
    """A new folder to write into, renamed to `folder` when all went well.

    Args:
        folder: path of the folder to make, or to replace.
        keep: bool, whether a folder that another process has made meanwhile stays, as in a
            cache; else it is replaced.

    Yields:
        The path of an empty folder beside it. After an error nothing is left of it.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
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
    finally:
        shutil.rmtree(aside, ignore_errors=True)
