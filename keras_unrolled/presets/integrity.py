"""Comparison of a preset's files with the hashes of its record."""

import re
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.files import fingerprint

# Of a name, between slashes: what every file system can hold, without drives and streams.
PART = re.compile(r"(?!\.{1,2}$)[^\x00-\x1f\x7f\\/:*?\"<>|\ud800-\udfff]{1,80}")


def is_within(name):
    """Whether a file's name leads into its preset's folder and nowhere else."""
    parts = name.split("/")
    return len(parts) <= 3 and all(PART.fullmatch(part) for part in parts)


def verify(folder, record):
    """Compares every file of a preset with its record, before any is opened.

    Raises:
        InputError: for the first file that is missing or differs.
    """
    verify_files(folder, record.files, f"the preset {record.name!r}")


def verify_files(folder, files, owner):
    """Compares files with the sha256 and size that are on record.

    Args:
        folder: path of the folder.
        files: dict from name to "sha256" and "size".
        owner: string, whose files they are, for the message.

    Raises:
        InputError: for the first file that is missing, cannot be read or differs.
    """
    for name, facts in files.items():
        path = Path(folder) / name
        if not path.is_file():
            raise checks.InputError(
                f"Expected {name} of {owner} in {folder}. Found no such "
                "file. Restore the folder from where it came."
            )
        try:
            found = {"size": path.stat().st_size}
            if found["size"] == facts["size"]:
                found = fingerprint(path)
        except OSError as error:
            raise checks.InputError(
                f"Expected to read {path}. It failed: {error}. Restore the file, or its permissions."
            ) from error
        for what in ("size", "sha256"):
            if what in found and found[what] != facts[what]:
                raise checks.InputError(
                    f"Expected {path} to have the {what} {facts[what]} of its record. Found "
                    f"{found[what]}. The file is damaged or is another: restore it."
                )
