"""Files of data sets on a Hub, for `keras_unrolled.data`.

`keras_unrolled.presets`, which downloads and checks what comes from a Hub, registers the function that finds
them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_unrolled import checks


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one commit of a data set.

    Args:
        commit: string, 40 hexadecimal digits.
        files: tuple of strings, the names of its Parquet files and of README.md, if there is one.
        fetch: function of a list of such names, which downloads these files and returns the folder that
            they are in.
        missing: optional error, why there is nothing but the commit: the Hub cannot be reached.
    """

    commit: str
    files: tuple[str, ...]
    fetch: Callable[[Sequence[str]], Path]
    missing: checks.InputError | None = None


_finders: list[Callable[[str, str | None], DatasetFiles]] = []


def register(find: Callable[[str, str | None], DatasetFiles]) -> None:
    """Sets the function from a name, `org/name`, and a revision or None to `DatasetFiles`."""
    _finders[:] = [find]


def find(name: str, revision: str | None) -> DatasetFiles:
    """The files of a data set on the Hub."""
    return _finders[0](name, revision)
