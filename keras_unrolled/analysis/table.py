"""A table of measurements: one row an observation."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks, files


class Table:
    """Rows with the same columns.

    Args:
        rows: a sequence of dicts with the same keys in the same order. Values are strings, numbers,
            bools, or None where something was not measured.
        columns: optional sequence of strings, for a table without rows.

    Attributes:
        rows: list of dicts.
        columns: tuple of strings.

    Example:
        >>> import keras_unrolled as ku
        >>> rows = [{"block": "stage1_block1", "mean": 0.5}, {"block": "stage1_block2", "mean": 0.25}]
        >>> table = ku.analysis.Table(rows)
        >>> table
        block          mean
        stage1_block1   0.5
        stage1_block2  0.25
        >>> table["mean"], table.where(block="stage1_block2")["mean"]
        ([0.5, 0.25], [0.25])
    """

    def __init__(self, rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()):
        self.rows = [{k: _plain(v) for k, v in row.items()} for row in rows]
        self.columns = tuple(self.rows[0] if self.rows else columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        """The values of a column."""
        if column not in self.columns:
            raise checks.InputError(
                f"Expected a column of {', '.join(self.columns)}. Received: {column!r}. Rows are in "
                f"`.rows`. {checks.did_you_mean(column, self.columns)}".rstrip()
            )
        return [row[column] for row in self.rows]

    def where(self, **values: Any) -> "Table":
        """The rows with these values, such as `table.where(block="stage1_block1")`."""
        kept = [row for row in self.rows if all(row[k] == v for k, v in values.items())]
        return Table(kept, self.columns)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV, also written to `path` if there is one; None becomes an empty field.

        Raises:
            InputError: if the file cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([[row[column] for column in self.columns] for row in self.rows])
        if path is not None:
            files.write_text(Path(path), text.getvalue())
        return text.getvalue()

    def __str__(self) -> str:
        cells = [list(self.columns)]
        cells += [[_show(row[column]) for column in self.columns] for row in self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        numeric = [
            all(isinstance(row[c], (int, float)) or row[c] is None for row in self.rows)
            for c in self.columns
        ]
        return "\n".join(
            "  ".join(
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, numeric)
            ).rstrip()
            for row in cells
        )

    __repr__ = __str__


def _plain(value):
    """A value as Python's own type, which JSON and CSV write alike."""
    return value.item() if isinstance(value, np.generic) else value


def _show(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
