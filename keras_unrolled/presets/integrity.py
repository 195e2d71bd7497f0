"""Comparison of a preset's files with the hashes of its record."""

from pathlib import Path, PurePosixPath

from keras_unrolled import checks
from keras_unrolled.files import fingerprint


def is_within(name):
    """Whether a file's name leads into its preset's folder and nowhere else."""
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and not name.startswith("/") and "\\" not in name
    return plain and 0 < len(parts) <= 3 and ".." not in parts


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
        InputError: for the first file that is missing or differs.
    """
    for name, facts in files.items():
        path = Path(folder) / name
        if not path.is_file():
            raise checks.InputError(
                f"Expected {name} of {owner} in {folder}. Found no such "
                "file. Restore the folder from where it came."
            )
        found = {"size": path.stat().st_size}
        if found["size"] == facts["size"]:
            found = fingerprint(path)
        for what in ("size", "sha256"):
            if what in found and found[what] != facts[what]:
                raise checks.InputError(
                    f"Expected {path} to have the {what} {facts[what]} of its record. Found "
                    f"{found[what]}. The file is damaged or is another: restore it."
                )
