"""All measurements are the same on every backend."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.analysis.backend_worker import measure
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_measurements_are_the_same_on_every_backend(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    env = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-m", "tests.analysis.backend_worker", str(tmp_path / "out.json")]
    done = subprocess.run(
        command, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "out.json").read_text())
    expected = json.loads(json.dumps(measure()))
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert len(found[name]) == len(rows), name
        for ours, theirs in zip(found[name], rows):
            for column, value in theirs.items():
                if isinstance(value, float):
                    assert ours[column] == pytest.approx(value, rel=2e-4, abs=2e-5), (name, theirs)
                else:
                    assert ours[column] == value, (name, column, theirs)
