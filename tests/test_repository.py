"""What the checkout promises about itself."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_ci_runs_exactly_the_readmes_test_command():
    commands = re.findall(r"```sh\n(python3 -m venv .*)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[0].endswith("keras-unrolled demo")
    assert commands[1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_readme_and_model_cards_follow_from_the_records():
    command = [sys.executable, "-m", "zoo.build", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_imports_neither_training_nor_the_zoo():
    for path in (ROOT / "keras_unrolled").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) (training|zoo)\b", path.read_text(), re.M), path


def test_imports_go_one_way():
    order = ["layers", "models", "convert", "presets", "analysis"]
    for i, name in enumerate(order):
        for path in (ROOT / "keras_unrolled" / name).glob("*.py"):
            text = path.read_text()
            found = re.findall(r"^(?:from|import) keras_unrolled\.(\w+)", text, re.M)
            for names in re.findall(r"^from keras_unrolled import (.*)", text, re.M):
                found += names.split(", ")
            assert not set(found) & set(order[i + 1 :]), path


def test_layers_import_keras_only():
    for path in (ROOT / "keras_unrolled" / "layers").glob("*.py"):
        for line in re.findall(r"^(?:from|import) (\S+)", path.read_text(), re.M):
            assert line.split(".")[0] in {
                "keras",
                "keras_unrolled",
                "math",
                "dataclasses",
                "typing",
            }
            if line.startswith("keras_unrolled."):
                assert line.startswith("keras_unrolled.layers"), (path, line)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_checkout_holds_no_path_of_a_machine():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in files.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".json", ".yml"} and path.exists():
            assert not re.search(r"/(home|root|Users)/\w", path.read_text()), name
