"""Importing Keras without the lines that TensorFlow's libraries write as they load."""

import os
import sys


def import_keras():
    """Imports Keras and KerasHub with standard error closed, unless TF_CPP_MIN_LOG_LEVEL is 0."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        import keras
        import keras_hub  # noqa: F401

        if keras.backend.backend() == "tensorflow":
            import tensorflow

            tensorflow.config.list_logical_devices()  # it looks for GPUs now, not later
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
