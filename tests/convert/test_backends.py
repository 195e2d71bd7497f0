"""Conversions do the same on every backend."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_unrolled import convert
from tests.convert.test_timm import write_checkpoint

WORKER = Path(__file__).with_name("convert_worker.py")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_conversions_do_the_same_on_every_backend(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    images = np.random.default_rng(3).integers(0, 256, (2, 64, 80, 3)).astype("uint8")
    np.save(tmp_path / "images.npy", images)
    checkpoint = write_checkpoint(tmp_path / "resnet18", "resnet18")
    command = [sys.executable, str(WORKER), str(checkpoint), str(tmp_path / "images.npy")]
    done = subprocess.run(
        [*command, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = convert.from_timm(checkpoint).predict(images, verbose=0)
    found = np.load(tmp_path / "scores.npy")
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4
    before, after = (
        load_file(place / "model.safetensors") for place in (checkpoint, tmp_path / "timm")
    )
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
