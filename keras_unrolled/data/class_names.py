"""Names of classes as users write them: cleaned, and matched with a network's labels."""

import re
import unicodedata
from collections.abc import Iterable

from keras_unrolled import checks
from keras_unrolled.models.inputs import find_problem, tidy

SHOWN = 20  # names in a message


def clean_name(name: str, place: str) -> str:
    """A class's name as `tidy` has it.

    Args:
        name: string, as it is written.
        place: string, where, for a message.

    Raises:
        InputError: for a name that is empty, not UTF-8, or has control characters.
    """
    problem = find_problem(name)
    if problem is not None:
        raise checks.InputError(
            f"Expected a class's name of printable characters in UTF-8 in {place}. Found {name!a}, "
            f"{problem}. Rename it."
        )
    return tidy(name)


def describe_merged(names: Iterable[str]) -> list[str]:
    """Notes on names that are written in several ways, and on different ones that look alike.

    Args:
        names: the names as they are written, each once.
    """
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(tidy(name), []).append(name)
    notes = [
        f"{', '.join(map(ascii, sorted(written)))} were taken as one class, {name!r}"
        for name, written in spellings.items()
        if len(written) > 1
    ]
    alike: dict[str, list[str]] = {}
    for name in spellings:
        folded = unicodedata.normalize("NFKC", name).casefold().replace("_", " ").strip("\"' ")
        alike.setdefault(folded, []).append(name)
    return notes + [
        f"{', '.join(map(ascii, sorted(group)))} look alike and were taken as different classes"
        for group in alike.values()
        if len(group) > 1
    ]


def show_names(names: Iterable[str]) -> str:
    """Names for a message, the first ones of many."""
    names = list(names)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def read_numbers(names: Iterable[str]) -> list[int] | None:
    """The number of each of several names that differ in one number only, as "class 2" and "class 10".

    None for other names.
    """
    parts = [re.split(r"(\d+)", name) for name in names]
    if len({len(row) for row in parts}) != 1:
        return None
    columns = [column for column in zip(*parts) if len(set(column)) > 1]
    if len(columns) != 1 or not all(re.fullmatch(r"\d+", text) for text in columns[0]):
        return None
    return [int(text) for text in columns[0]]
