"""Imports go one way: see the order in `ORDER`. Imports inside functions count, too."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Lowest first. A module may import its own package and those before it.
ORDER = [
    "ground",
    "layers",
    "models",
    "data",
    "evaluation",
    "analysis",
    "convert",
    "presets",
    "exporting",
    "engine",
    "finetuning",
    "reporting",
    "demo",
    "cli",
]
GROUND = {
    "assets",
    "checks",
    "dataset_files",
    "environment",
    "files",
    "paths",
    "preset_names",
    "progress",
    "quiet",
    "registration",
}
EXEMPT = {"keras_unrolled", "keras_unrolled.__main__"}  # the first imports on demand


def find_modules(root):
    """Every module under the packages of `root`, from its dotted name to its syntax tree."""
    found = {}
    for package in ("keras_unrolled", "training", "zoo", "benchmarks"):
        for path in (root / package).rglob("*.py"):
            parts = list(path.relative_to(root).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found[".".join(parts)] = ast.parse(path.read_text())
    return found


def imports(modules, name):
    """The modules of `modules` that one of them imports, wherever in it the import is."""
    found = set()
    for node in ast.walk(modules[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules else node.module)
    return {module for module in found if module in modules and module != name}


def rank(module):
    """Where a module of the package is in `ORDER`."""
    part = module.split(".")[1]
    return ORDER.index("ground" if part in GROUND else part)


def find_upward(modules):
    """Pairs of modules of which the first imports the second, of a later package."""
    return [
        (name, other)
        for name in modules
        if name.startswith("keras_unrolled.") and name not in EXEMPT
        for other in imports(modules, name)
        if other not in EXEMPT and other.startswith("keras_unrolled.") and rank(other) > rank(name)
    ]


def find_cycle(modules):
    """A list of modules each of which imports the next and the last the first, or None."""
    done, trail = set(), []

    def visit(name):
        if name in trail:
            return trail[trail.index(name) :]
        if name in done:
            return None
        trail.append(name)
        for other in sorted(imports(modules, name)):
            # What a package's `__init__` collects is not what a module asks it for.
            if other in EXEMPT or name.startswith(f"{other}."):
                continue
            cycle = visit(other)
            if cycle:
                return cycle
        done.add(trail.pop())
        return None

    return next((cycle for name in sorted(modules) if (cycle := visit(name))), None)


MODULES = find_modules(ROOT)


def test_no_module_imports_a_later_package():
    assert find_upward(MODULES) == []


def test_no_modules_import_each_other():
    assert find_cycle(MODULES) is None


def test_package_imports_neither_training_nor_zoo():
    for name in MODULES:
        if name.split(".")[0] == "keras_unrolled":
            outside = {other.split(".")[0] for other in imports(MODULES, name)}
            assert outside <= {"keras_unrolled"}, name


def test_zoo_reads_recipes_of_training_but_not_its_programs():
    for name in MODULES:
        if name.split(".")[0] == "zoo":
            for other in imports(MODULES, name):
                assert not other.startswith("training.") or other.startswith("training.recipes"), (
                    name,
                    other,
                )


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("layers/mixing.py", "from keras_unrolled import models"),
        ("data/text.py", "def f():\n    from keras_unrolled.presets.loading import from_preset"),
    ],
)
def test_planted_upward_import_is_found(place, line):
    name = f"keras_unrolled.{place.removesuffix('.py').replace('/', '.')}"
    planted = {**MODULES, name: ast.parse(line)}
    assert [first for first, _ in find_upward(planted)] == [name]


def test_planted_cycle_is_found():
    planted = {
        **MODULES,
        "keras_unrolled.checks": ast.parse("def f():\n    import keras_unrolled.files"),
    }
    assert set(find_cycle(planted)) == {"keras_unrolled.checks", "keras_unrolled.files"}


def test_layers_import_keras_only():
    for path in (ROOT / "keras_unrolled" / "layers").glob("*.py"):
        for line in re.findall(r"^(?:from|import) (\S+)", path.read_text(), re.M):
            allowed = {"keras", "keras_unrolled", *sys.stdlib_module_names}
            assert line.split(".")[0] in allowed, (path, line)


def test_every_package_has_its_place_in_the_order():
    for path in Path(ROOT / "keras_unrolled").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            name = path.stem
            assert name in {*ORDER, *GROUND, "__init__", "__main__"}, path
