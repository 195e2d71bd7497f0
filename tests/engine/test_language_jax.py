"""The language model on JAX is trained as on TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_unrolled.data.text_batches import TextBatches
from tests.engine.processes import HANG
from tests.engine.test_jax import jax_env

WORKER = Path(__file__).with_name("language_worker.py")


def run(workdir, out, *options, code=0, **env):
    command = [sys.executable, str(WORKER), str(workdir), str(out), *options]
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == code, done.stderr[-4000:]
    if code == 0:
        with np.load(out) as file:
            return dict(file)


@pytest.mark.slow
def test_twenty_steps_equal_tensorflow_also_when_it_has_taken_the_first_ten(tmp_path):
    expected = run(tmp_path / "tensorflow", tmp_path / "tensorflow.npz")
    assert np.ptp(expected["losses"]) > 0
    found = run(tmp_path / "jax", tmp_path / "jax.npz", **jax_env())
    run(tmp_path / "both", tmp_path / "both.npz", "stop", code=7)
    both = run(tmp_path / "both", tmp_path / "both.npz", **jax_env())
    for other in (found, both):
        assert other.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-4)


def test_most_distinct_words_of_a_batch_are_counted():
    stream = TextBatches([1, 1, 1, 2, 3, 1, 1, 1, 4, 5], batch_size=2, length=2, epochs=1)
    assert stream.steps_per_epoch == 2
    assert stream.most_distinct == 3  # of 1, 2 and 1, 4; before that of 1, 1 and 1, 1
