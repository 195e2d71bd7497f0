"""The documentation site is complete, and the built one needs no other host."""

import importlib.util
import json
import re

import pytest

import keras_unrolled as ku
from keras_unrolled.presets.catalog import list_presets
from tests.conftest import ROOT

DOCS, SITE = ROOT / "docs", ROOT / "docs/_build/html"
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
MODULES = ("layers", "models", "data", "analysis", "convert", "evaluation")


@pytest.fixture(scope="module")
def pages():
    """The program that makes pages from the package."""
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_name_of_the_top_level_is_in_the_reference():
    text = (DOCS / "reference/keras_unrolled.md").read_text()
    documented = set(re.findall(r"auto(?:function|class):: keras_unrolled\.(\w+)", text))
    assert documented == set(ku.__all__) - {*MODULES, "presets"}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_module_has_a_page_of_the_reference(name):
    assert f".. automodule:: keras_unrolled.{name}" in (DOCS / f"reference/{name}.md").read_text()


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_is_described(name):
    """Functions and classes by their docstrings, tables by an entry of the page."""
    module, page = getattr(ku, name), (DOCS / f"reference/{name}.md").read_text()
    for each in module.__all__:
        value = getattr(module, each)
        if isinstance(value, dict):
            assert re.search(rf"py:data:: (\S+\.)?{each}$", page, re.MULTILINE), each
        else:
            assert value.__doc__, each


def test_every_page_is_in_the_table_of_contents():
    listed = {
        line for line in (DOCS / "index.md").read_text().splitlines() if re.fullmatch(r"\S+", line)
    }
    names = [path.relative_to(DOCS).with_suffix("") for path in DOCS.glob("[!_]*.md")]
    names += [path.relative_to(DOCS).with_suffix("") for path in (DOCS / "reference").glob("*.md")]
    assert {str(name) for name in names} - {"index"} <= listed


def test_zoo_page_has_a_row_with_its_scores_for_each_record(pages):
    rows = pages.make_zoo_table(list_presets()).splitlines()[2:]
    assert len(rows) == len(list_presets())
    cells = {row.split("|")[1].strip(): [c.strip() for c in row.split("|")[2:-1]] for row in rows}
    row = cells["[resnet56_bn_cifar10](../reference/model_cards.md#resnet56_bn_cifar10)"]
    record = ku.load_record("resnet56_bn_cifar10")
    assert row == [
        "cifar10",
        "residual",
        "56",  # as in the name
        f"{record.parameters:,}",
        f"{record.macs / 1e6:.1f}",
        f"{record.score('cifar10'):.2%}",
        "",
        "trained",
    ]


def test_help_of_every_command_is_on_its_page(pages):
    text = pages.describe_commands()
    for command in ("list", "predict", "evaluate", "finetune", "analyze", "export", "publish"):
        assert f"## {command}\n\n```text\nusage: keras-unrolled {command}" in text


def test_notebooks_are_shown_and_have_no_outputs(pages):
    assert sorted(pages.NOTEBOOKS) == [path.stem for path in NOTEBOOKS]
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name


@pytest.mark.skipif(not SITE.is_dir(), reason="needs the built site: make docs")
def test_built_site_loads_nothing_from_other_hosts():
    pattern = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\W?(?:https?:)?//|"
    pattern += r"<link\b[^>]*\bhref=\W?(?:https?:)?//|url\(\W?(?:https?:)?//|@import"
    found = {
        str(path.relative_to(SITE)): match[0]
        for path in SITE.rglob("*")
        if path.suffix in (".html", ".css") and (match := re.search(pattern, path.read_text()))
    }
    assert (SITE / "index.html").exists()
    assert found == {}
