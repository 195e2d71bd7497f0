"""Files and functions stay small enough to read; every exception has its reason."""

import ast

from tests.conftest import ROOT

MOST_LINES, MOST_CODE = 300, 60
PACKAGES = ("keras_unrolled", "training", "zoo", "benchmarks")
# Functions that may have more than 60 lines of code, with the reason.
LONG = {
    "keras_unrolled/models/image_backbone.py:__init__": "a flat list of arguments and checks",
    "keras_unrolled/models/character_backbone.py:__init__": "a flat list of arguments and checks",
    "keras_unrolled/layers/block.py:__init__": "a flat list of arguments and checks",
}


def list_files():
    return [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "checkpoints" not in path.parts
    ]


def count_code(function, lines):
    """Lines of a function without its docstring, comments and blank lines."""
    first, docstring = function.body[0], range(0)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        docstring = range(first.lineno, first.end_lineno + 1)
    numbers = range(function.lineno, function.end_lineno + 1)
    code = [lines[n - 1].strip() for n in numbers if n not in docstring]
    return sum(bool(line) and not line.startswith("#") for line in code)


def test_no_file_is_longer_than_300_lines():
    lengths = {path: len(path.read_text().splitlines()) for path in list_files()}
    assert {p: n for p, n in lengths.items() if n > MOST_LINES} == {}


def test_functions_of_more_than_60_lines_of_code_are_listed_with_a_reason():
    long = set()
    for path in list_files():
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (
                count_code(node, text.splitlines()) > MOST_CODE
            ):
                long.add(f"{path.relative_to(ROOT)}:{node.name}")
    assert long <= LONG.keys()
