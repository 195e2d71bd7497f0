"""Importing Keras without what TensorFlow writes that concerns its developers."""

import os
import sys
from contextlib import contextmanager

from keras_unrolled import checks

BACKENDS = ("tensorflow", "jax", "torch")


def import_keras(*, find_devices=True):
    """Imports Keras and KerasHub with standard error closed, unless TF_CPP_MIN_LOG_LEVEL is 0.

    Args:
        find_devices: bool, whether TensorFlow looks for devices now, which it reports; the CPU
            cannot be divided into several devices after that.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
        return
    with closed_stderr():
        keras = _import_keras()
        import keras_hub  # noqa: F401

        if keras.backend.backend() == "tensorflow":
            import tensorflow

            if find_devices:
                tensorflow.config.list_logical_devices()
            # It warns of functions that are compiled again, which each network is once.
            tensorflow.get_logger().setLevel("ERROR")


@contextmanager
def closed_stderr():
    """Drops what is written to standard error, by compiled code as well."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)


def _import_keras():
    try:
        import keras
    except ModuleNotFoundError as error:
        backend = os.environ.get("KERAS_BACKEND")
        if error.name not in BACKENDS:
            raise
        raise checks.InputError(
            f"Expected Keras's backend, {error.name}, to be installed. It is not. Install it "
            f"(pip install {error.name}) or change KERAS_BACKEND, which is {backend!r}."
        ) from error
    except ValueError as error:
        backend = os.environ.get("KERAS_BACKEND")
        if backend in (None, *BACKENDS):
            raise
        raise checks.InputError(
            f"Expected KERAS_BACKEND to be {', '.join(BACKENDS)}. Received: {backend!r}. Choose one."
        ) from error
    return keras
