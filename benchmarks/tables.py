"""The CSV files of the benchmarks."""

import csv


def write_rows(path, rows):
    """Writes the rows that there are, dicts of the same keys, so that an interrupted run leaves them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
