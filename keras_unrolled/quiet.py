"""Importing Keras: fast on every processor, without TensorFlow's lines for its developers."""

import os
import sys
from contextlib import contextmanager

from keras_unrolled import checks

BACKENDS = ("tensorflow", "jax", "torch")


def import_keras(*, find_devices=True):
    """Imports Keras and KerasHub with standard error closed, unless TF_CPP_MIN_LOG_LEVEL is 0.

    Lets TensorFlow use oneDNN, unless TF_ENABLE_ONEDNN_OPTS says otherwise. TensorFlow does so by
    itself only where the processor has AVX512-VNNI or AMX, but convolutions gain without, too.

    Args:
        find_devices: bool, whether TensorFlow looks for devices now, which it reports; the CPU
            cannot be divided into several devices after that.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
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


def import_keras_first():
    """`import_keras` for packages of programs whose modules import Keras themselves.

    Raises:
        SystemExit: with code 2, if Keras's backend is not installed or unknown.
    """
    try:
        import_keras(find_devices=False)
    except checks.InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


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
