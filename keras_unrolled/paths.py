"""Where the presets of this installation are, and what to call the place of data."""

from pathlib import Path


def zoo():
    """The folder of the shipped presets: inside the installed package, or in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "zoo"
    return installed if installed.is_dir() else package.parent / "zoo"


def name_place(dataset: str, split: str) -> str:
    """A data set and the part of it; once where the path of a folder or file begins both."""
    if split.startswith((dataset, str(Path(dataset)))):
        return split
    return dataset if Path(dataset).name == split else f"{dataset}, {split}"
