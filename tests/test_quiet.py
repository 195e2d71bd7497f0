import os
import subprocess
import sys

import pytest

from keras_unrolled.quiet import import_keras
from tests.conftest import ROOT

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0"), ("1", "1")])
def test_commands_use_onednn_unless_the_environment_says_otherwise(monkeypatch, before, after):
    monkeypatch.setenv(ONEDNN, "")
    monkeypatch.delenv(ONEDNN) if before is None else monkeypatch.setenv(ONEDNN, before)
    import_keras()
    assert os.environ[ONEDNN] == after


@pytest.mark.parametrize("program", [["training/cifar10.py"], ["-m", "zoo.build"]])
def test_programs_name_the_backends_where_the_backend_is_unknown(program):
    done = subprocess.run(
        [sys.executable, *program, "--help"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "theano"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "Expected KERAS_BACKEND to be tensorflow, jax, torch. Received: 'theano'. Choose one.\n"
    )
