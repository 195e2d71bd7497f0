"""A preset of any image size, exported on JAX once its size is known."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_unrolled as ku
from keras_unrolled import models
from tests.engine.processes import HANG
from tests.nets import randomize

PROGRAM = """
import sys
import keras_unrolled as ku
ku.from_preset(sys.argv[1], image_shape=(32, 32, 3)).export(sys.argv[2], verbose=False)
"""


@pytest.mark.slow
def test_network_of_any_size_is_exported_on_jax_at_the_size_that_is_given(tmp_path, rng):
    model = models.highway(8, dataset="cifar", image_shape=(None, None, 3), num_classes=3)
    randomize(model)
    ku.save_preset(model, tmp_path / "preset")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "preset"), str(tmp_path / "exported")],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    images = rng.normal(size=(3, 32, 32, 3)).astype("float32")
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(images), model(images, training=False), atol=1e-5)
