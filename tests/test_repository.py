"""The files of the checkout agree with each other."""

import dataclasses
import re
import shutil
import subprocess
import sys

import pytest

from keras_unrolled.finetuning.options import Options, name_flag
from tests.conftest import ROOT


def test_ci_runs_the_readme_test_command_with_slow_tests():
    commands = re.findall(r"```sh\n(python3 -m venv .*)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[0].endswith("keras-unrolled demo")
    assert commands[1].endswith("pytest")
    assert f"{commands[1]} --slow" in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.slow
def test_generated_files_are_up_to_date():
    command = [sys.executable, "-m", "zoo.build", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/reference").glob("*.md")]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_of_documents_lead_to_files_and_headings(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        place = path.parent / name if name else path
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, target


def test_finetune_flags_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Fine-tune") : text.index("## Look inside")]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    flags = set(re.findall(r"--([a-z][a-z-]+)", table))
    assert len(flags) >= 5
    names = {name_flag(each).removeprefix("--") for each in dataclasses.fields(Options)}
    assert flags <= names


def test_makefile_targets_in_the_contributing_guide_exist():
    targets = set(
        re.findall(r"^\| `make ([a-z-]+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    )
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert targets
    assert targets == rules


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_no_file_contains_a_path_of_a_home_folder():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in files.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".json", ".yml"} and path.exists():
            assert not re.search(r"/(home|root|Users)/\w", path.read_text()), name
