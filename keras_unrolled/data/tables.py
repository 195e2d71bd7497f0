"""CSV files that name images and their labels."""

import codecs
import csv
import io
import itertools
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
PART_COLUMNS = {"split", "set", "subset", "fold", "partition"}  # which are not read
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
        InputError: if it cannot be read, a column or a file is missing, a quoted cell does not end on
            its line, or there are fewer than two classes; or if a file has two labels. One that is
            named again is left out.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> import keras_unrolled as ku
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("a.png", "b.png"):
        ...         Image.new("RGB", (8, 8)).save(Path(folder) / name)
        ...     table = Path(folder) / "labels.csv"
        ...     _ = table.write_text("file,label\\na.png,daisy\\nb.png,tulip\\n")
        ...     ku.data.load_csv(table).names
        ('daisy', 'tulip')
    """
    path = checks.readable("the table", path)
    columns, rows = _read_table(path)
    files = [_find_file(path.parent, file) for _, file, _ in rows]
    missing = [
        f"{file:.200} (line {number})"
        for (number, file, _), f in zip(rows, files)
        if not _is_file(f)
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise checks.InputError(
            f"Expected the files that {path} names. {len(missing):,} of {len(files):,} {verb} missing: "
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
    notes = [
        f"the column {column!r} is not read: all rows are used"
        for column in columns
        if column in PART_COLUMNS
    ]
    if repeated:
        notes.append(f"left out {checks.count(repeated, 'line')} with a file named before")
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


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, str, str]]]:
    """The columns, and the line number in the file, the image file and the label of each row."""
    text = _read_text(path)
    separator = _find_separator(text)
    columns: list[str] = []
    rows = []
    for number, row in _split_lines(path, text, separator):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (not columns and _names_separator(separator.join(row))):
            continue
        if not columns:
            columns = [cell.lower() for cell in cells]
            _check_columns(path, cells, columns, separator)
            continue
        values = dict(zip(columns, row))
        file, label = (values.get(column) or "" for column in COLUMNS)
        if not file.strip() or not label.strip() or len(row) > len(columns):
            raise checks.InputError(
                f"Expected a file and a label in each line of {path}, as in its first line. Line "
                f"{number} has {checks.count(len(row), 'value')}: {row!r:.80}. Complete or remove it."
            )
        rows.append((number, file.strip(), label))
    if not columns:
        raise checks.InputError(
            f"Expected the columns file and label in {path}. Found nothing. Write a first line "
            "file,label."
        )
    return columns, rows


def _split_lines(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each line."""
    lines = itertools.chain(io.StringIO(text, newline=""), [""])  # the last one shows an open quote
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    row: list[str] | None = []
    for number in itertools.count(1):
        problem = None
        try:
            row = next(reader, None)
        except csv.Error as error:
            problem = error
        if reader.line_num > number:
            raise checks.InputError(
                f"Expected quoted cells that end on the line where they begin in {path}. One that opens "
                f"in line {number} does not. Close or remove the quote."
            )
        if problem is not None:
            raise checks.InputError(
                f"Expected a table of images and labels in {path}. Line {number} cannot be read "
                f"({problem}). Correct it."
            ) from problem
        if row is None:
            return
        yield number, row


def _find_separator(text):
    """The separator that gives the first line its columns, or else the most frequent one there."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and _names_separator(lines[0]):
        lines = lines[1:]
    first = lines[0] if lines else ""

    def rank(separator):
        cells = [cell.strip(' "').lower() for cell in first.split(separator)]
        return set(COLUMNS) <= set(cells), first.count(separator)

    return max(SEPARATORS, key=rank)


def _names_separator(line):
    """Whether a line is Excel's, `sep=;` or `"sep=;"`."""
    line = line.replace('"', "").strip().lower()
    return re.fullmatch(f"{EXCEL}[{re.escape(SEPARATORS)}]*", line)


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
    if os.path.isdir(path):
        raise checks.InputError(
            f"{hint}Found a folder. Pass a file, or rename the folder so that it does not end in "
            f"{path.suffix}."
        )
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
