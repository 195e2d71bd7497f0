import os
import shutil
import subprocess
import sys

import pytest

from keras_unrolled import environment
from tests.conftest import ROOT


def test_commit_of_a_copy_is_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("KERAS_UNROLLED_COMMIT", "abc123")
    assert environment.read_commit() == "abc123"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_package_inside_another_checkout_has_no_commit(tmp_path):
    """As one that is installed into a virtual environment in somebody's repository."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    place = tmp_path / "lib"
    place.mkdir()
    shutil.copy(ROOT / "keras_unrolled" / "environment.py", place)
    code = "import environment; print(environment.read_commit())"
    variables = {k: v for k, v in os.environ.items() if k != "KERAS_UNROLLED_COMMIT"}
    run = {"cwd": place, "env": variables, "capture_output": True, "text": True, "check": True}
    assert subprocess.run([sys.executable, "-c", code], **run).stdout.strip() == "None"
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    found = subprocess.run([sys.executable, "-c", code], **run).stdout.strip()
    assert len(found.rstrip("+")) == 40
