"""The files of the checkout agree with each other."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_ci_runs_the_readme_test_command_with_slow_tests():
    commands = re.findall(r"```sh\n(python3 -m venv .*)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[0].endswith("keras-unrolled demo")
    assert commands[1].endswith("pytest")
    assert f"{commands[1]} --slow" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_generated_files_are_up_to_date():
    command = [sys.executable, "-m", "zoo.build", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_no_file_contains_a_path_of_a_home_folder():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in files.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".json", ".yml"} and path.exists():
            assert not re.search(r"/(home|root|Users)/\w", path.read_text()), name
