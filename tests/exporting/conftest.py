"""A small network, and its files in every format, each written once."""

import pytest

import keras_unrolled as ku
from keras_unrolled.exporting.request import PACKAGES
from tests.exporting.nets import make_model, read_images

NAMES = {"onnx": "net.onnx", "litert": "net.tflite", "saved_model": "net"}


def need(format):
    """Skips a test unless the packages of a format are installed."""
    for package in PACKAGES[format]:
        pytest.importorskip(package, reason=f"needs {package}, of the extra export")


@pytest.fixture(scope="session")
def model():
    return make_model(fit=True)


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """A function from a format and a precision to the path of a file and the result of `export`."""
    done = {}

    def export(format, precision="float32"):
        need(format)
        if (format, precision) not in done:
            path = tmp_path_factory.mktemp("exported") / NAMES[format]
            images = read_images(160) if precision == "int8" else None
            result = ku.export(model, path, precision=precision, calibration=images)
            done[format, precision] = path, result
        return done[format, precision]

    return export
