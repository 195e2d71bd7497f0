"""CSV files that name images and their labels."""

import codecs
import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.class_names import clean_name, describe_merged
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles

SUFFIXES = (".csv", ".tsv")
SEPARATORS = ",;\t|"
COLUMNS = ("file", "label")
EXCEL = "sep="  # begins a line before the columns that names the separator for Excel
MOST_BYTES = 2**28  # of a table
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def load_csv(path: str | Path) -> Examples:
    """A table with the columns "file" and "label" as `Examples` whose images are `ImageFiles`.

    Args:
        path: path of a text file in UTF-8, or in UTF-16 with a byte order mark, whose columns are
            separated by commas, semicolons, tabs or bars. Files are named from its folder on.

    Raises:
        InputError: if it cannot be read, a column or a file is missing, or there are fewer than
            two classes; or if a file has two labels. One that is named again is left out.
    """
    path = Path(path).expanduser()
    rows = list(_read_rows(path))
    files = [_find_file(path.parent, file) for _, file, _ in rows]
    missing = [
        f"{file:.200} (line {number})"
        for (number, file, _), f in zip(rows, files)
        if not _is_file(f)
    ]
    if missing:
        raise checks.InputError(
            f"Expected the files that {path} names. {len(missing):,} of {len(files):,} are missing: "
            f"{', '.join(missing[:3])}. Paths count from the folder of the table."
        )
    labels = [clean_name(label, f"{path}, line {number}") for number, _, label in rows]
    kept = _find_distinct(path, files, labels, [number for number, _, _ in rows])
    files, labels = [files[i] for i in kept], [labels[i] for i in kept]
    names = sorted(set(labels))
    if len(names) < 2:
        raise checks.InputError(
            f"Expected two classes or more in {path}. Found {len(names)}. Add images of others."
        )
    repeated = len(rows) - len(kept)
    notes = [f"{repeated:,} lines name a file again and were left out"] if repeated else []
    return Examples(
        ImageFiles(files, root=path.parent),
        np.array([names.index(label) for label in labels], "int64"),
        tuple(names),
        path.name,
        (*describe_merged({label for _, _, label in rows}), *notes),
    )


def _find_distinct(path, files, labels, numbers):
    """The places of all files but repeated ones, which would be trained on and held out."""
    first: dict[str, int] = {}
    for i, file in enumerate(files):
        before = first.setdefault(os.path.realpath(file), i)
        if labels[before] != labels[i]:
            raise checks.InputError(
                f"Expected one label for each file in {path}. {file} has {labels[before]!r} (line "
                f"{numbers[before]}) and {labels[i]!r} (line {numbers[i]}). Remove one of the lines."
            )
    return list(first.values())


def _read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The line number in the file, the image file and the label of each row."""
    text = _read_text(path)
    separator = _find_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None and cells[0].lower() == EXCEL and not any(cells[1:]):
                continue
            if columns is None:
                columns = [cell.lower() for cell in cells]
                _check_columns(path, cells, columns, separator)
                continue
            values = dict(zip(columns, row))
            file, label = (values.get(column) or "" for column in COLUMNS)
            if not file.strip() or not label.strip() or len(row) > len(columns):
                raise checks.InputError(
                    f"Expected a file and a label in each line of {path}, as in its first line. Line "
                    f"{reader.line_num} has {len(row)} values: {row!r:.80}. Complete or remove it."
                )
            yield reader.line_num, file.strip(), label
    except csv.Error as error:
        raise checks.InputError(
            f"Expected a table of images and labels in {path}. Line {reader.line_num} cannot be read "
            f"({error}). Correct it."
        ) from error
    if columns is None:
        raise checks.InputError(
            f"Expected the columns file and label in {path}. Found nothing. Write a first line "
            "file,label."
        )


def _find_separator(text):
    """The separator that gives the first line its columns, or else the most frequent one there."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and re.fullmatch(f"{EXCEL}[{re.escape(SEPARATORS)}]*", lines[0].strip().lower()):
        lines = lines[1:]
    first = lines[0] if lines else ""

    def rank(separator):
        cells = [cell.strip(' "').lower() for cell in first.split(separator)]
        return set(COLUMNS) <= set(cells), first.count(separator)

    return max(SEPARATORS, key=rank)


def _check_columns(path, cells, columns, separator):
    if any(columns.count(name) != 1 for name in COLUMNS):
        shown = {"\t": "tab"}.get(separator, separator)
        raise checks.InputError(
            f"Expected the columns file and label in {path}. Found "
            f"{', '.join(map(repr, cells[:10]))}, separated by {shown!r}. Name them so in the first "
            "line."
        )


def _read_text(path: Path) -> str:
    hint = f"Expected a CSV file of images and labels at {path}. "
    if not path.is_file():
        raise checks.InputError(f"{hint}Found no file. Check the path.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise checks.InputError(f"{hint}It has more than {MOST_BYTES:,} bytes. Divide it.")
        content = path.read_bytes()
        encoding = next((e for mark, e in _MARKS.items() if content.startswith(mark)), "utf-8")
        text = content.decode(encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise checks.InputError(f"{hint}It cannot be read ({error}). Save it as UTF-8.") from error
    if "\0" in text:
        raise checks.InputError(
            f"{hint}It has bytes of zero, as a binary file, or UTF-16 without a byte order mark. "
            "Save it as UTF-8."
        )
    return text


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # longer than any name of a file
        return False


def _find_file(folder: Path, name: str) -> Path:
    """The path of an image, whose parts may be divided by backslashes or composed otherwise."""
    names = [name, PureWindowsPath(name).as_posix()] if "\\" in name else [name]
    forms = [n for n in names for n in (n, *(unicodedata.normalize(f, n) for f in ("NFC", "NFD")))]
    return next((folder / form for form in forms if _is_file(folder / form)), folder / names[-1])
