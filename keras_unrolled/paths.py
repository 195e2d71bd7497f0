"""Where the presets of this installation are."""

from pathlib import Path


def zoo():
    """The folder of the shipped presets: inside the installed package, or in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "zoo"
    return installed if installed.is_dir() else package.parent / "zoo"
