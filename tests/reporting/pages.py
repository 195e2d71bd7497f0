"""Reads what a report consists of."""

import csv
from xml.etree import ElementTree


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_page(folder):
    """A report's page as text, and parsed as XML."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, ElementTree.fromstring(text.split("\n", 1)[1])
