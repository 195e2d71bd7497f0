import subprocess
import sys

import pytest

import keras_unrolled


def test_importing_the_package_imports_neither_keras_nor_tensorflow():
    code = (
        "import sys, keras_unrolled; keras_unrolled.list_presets(); keras_unrolled.InputError; "
        "bad = {'keras', 'tensorflow', 'keras_hub', 'jax', 'torch'} & sys.modules.keys(); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    for name in keras_unrolled.__all__:
        assert getattr(keras_unrolled, name) is not None
    assert keras_unrolled.layers.Block
    assert keras_unrolled.models.ImageBackbone
    assert keras_unrolled.__version__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'from_presets'"):
        keras_unrolled.from_presets  # noqa: B018
