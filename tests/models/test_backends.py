"""The same weights give the same function on TensorFlow, JAX and torch."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).parent / "backend_worker.py"


def run(backend, out):
    env = {
        **os.environ,
        "KERAS_BACKEND": backend,
        # torch's threads spin where cores are shared
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "JAX_PLATFORMS": "cpu",
        # JAX compiles every operation of every network, which would take twice as long
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    done = subprocess.run(
        [sys.executable, str(WORKER), str(out)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(out) as file:
        return dict(file)


@pytest.fixture(scope="module")
def tensorflow_results(tmp_path_factory):
    return run("tensorflow", tmp_path_factory.mktemp("golden") / "tensorflow.npz")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_option_agrees_with_tensorflow(backend, tensorflow_results, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    found = run(backend, tmp_path / "results.npz")
    assert found.keys() == tensorflow_results.keys()
    for name, expected in tensorflow_results.items():
        assert np.isfinite(found[name]).all(), name
        scale = np.abs(expected).max()
        difference = np.abs(found[name] - expected).max() / scale
        assert difference < (0.05 if "mixed_bfloat16" in name else 1e-4), (name, difference)
