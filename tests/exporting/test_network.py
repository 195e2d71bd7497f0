"""The network that is exported, before any converter sees it."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, models
from keras_unrolled.exporting import network
from tests.conftest import first_fast
from tests.exporting.nets import call, make_model, predict, read_images
from tests.models.test_character_lm import TINY
from tests.nets import make_net


@pytest.mark.parametrize("name", first_fast("coupled", "group", "pre", "nobn", "pad"))
def test_raw_images_give_the_probabilities_of_predict(name):
    model = make_model(name)
    images, _ = read_images(5)
    built = network.build(network.as_float32(model), (32, 32))
    assert built.inputs[0].dtype == "uint8"
    np.testing.assert_allclose(call(built, images), predict(model, images), atol=1e-6)


def test_normalization_is_folded_unless_it_depends_on_the_image():
    def count(model):
        built = network.build(network.as_float32(model), (32, 32))
        kinds = (keras.layers.BatchNormalization, keras.layers.GroupNormalization)
        return sum(isinstance(layer, kinds) for layer in built._flatten_layers())

    assert count(make_model("coupled")) == 0
    assert count(make_model("group")) > 0


@pytest.mark.parametrize(
    "case",
    first_fast(
        ((40, 51), {}),
        ((40, 51), {"interpolation": "bicubic"}),
        ((64, 29), {"crop_to_aspect_ratio": False}),
        ((28, 28), {}),
        ((28, 300), {"interpolation": "lanczos3"}),
    ),
    ids=str,
)
def test_images_of_another_size_are_resized_as_by_the_preprocessor(case, rng):
    size, options = case
    model = make_model("plain", **options)
    images = rng.integers(0, 256, (4, *size, 3)).astype("uint8")
    built = network.build(network.as_float32(model), size)
    # A sum in another order is sometimes rounded to the next level of gray.
    np.testing.assert_allclose(call(built, images), predict(model, images), atol=1e-4)
    operations = {type(operation).__name__ for operation in built.operations}
    assert "Resize" not in operations
    assert "Matmul" in operations


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_any_number_of_channels_is_kept(channels):
    model = make_model("plain", channels=channels)
    images, _ = read_images(3, channels)
    built = network.build(network.as_float32(model), (32, 32))
    np.testing.assert_allclose(call(built, images), predict(model, images), atol=1e-6)


@pytest.mark.parametrize("dtype", first_fast("mixed_bfloat16", "float64"))
def test_network_of_another_precision_is_exported_in_float32(dtype):
    model = make_model("plain", dtype=dtype)
    exact = network.as_float32(model)
    assert {variable.dtype for variable in exact.variables} == {"float32"}
    assert exact.backbone.compute_dtype == "float32"
    images, _ = read_images(3)
    expected = keras.ops.softmax(model(model.preprocessor(images), training=False))
    found = call(network.build(exact, (32, 32)), images)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(expected), atol=0.02)


def test_scores_that_are_probabilities_already_stay_as_they_are():
    model = make_model("plain")
    config = {**model.get_config(), "activation": "sigmoid"}
    other = models.ImageClassifier.from_config(config)
    images, _ = read_images(3)
    expected = other.predict(images, verbose=0)
    built = network.build(network.as_float32(other), (32, 32))
    np.testing.assert_allclose(call(built, images), expected, atol=1e-6)
    np.testing.assert_allclose(network.predict(other, images), expected, atol=1e-6)


def test_default_size_is_what_the_preprocessor_resizes_to():
    model = make_model("plain")
    assert network.find_size(model, None, fixed=True) == (32, 32)
    assert network.find_size(model, (28, 40), fixed=True) == (28, 40)
    assert network.find_size(model, None, fixed=False) is None
    imagenet = models.make_preprocessor("imagenet").image_converter.resizing
    assert imagenet.full_size == (256, 256)


def make_open(shape):
    """A classifier whose preprocessor does not resize."""
    converter = models.ImageConverter(scale=1 / 64, offset=-2.0)
    backbone = make_net("plain", image_shape=shape)
    preprocessor = models.ImageClassifierPreprocessor(converter)
    return models.ImageClassifier(backbone, 2, preprocessor=preprocessor)


def test_size_without_resizing_is_that_of_the_network_or_must_be_given():
    model = make_open((None, None, 3))
    assert network.find_size(model, (20, 24), fixed=True) == (20, 24)
    assert network.find_size(model, None, fixed=False) is None
    with pytest.raises(InputError, match="Pass --size H W"):
        network.find_size(model, None, fixed=True)
    model = make_open((32, 32, 3))
    assert network.find_size(model, None, fixed=False) == (32, 32)
    with pytest.raises(InputError, match=r"does not resize\. Received: 20 x 24"):
        network.find_size(model, (20, 24), fixed=True)


def test_size_below_what_the_network_sees_is_rejected():
    with pytest.raises(InputError, match=r"28 x 28 pixels.*27 x 40.*such as 32 x 32"):
        network.find_size(make_model("plain"), (27, 40), fixed=True)


def test_what_is_no_classifier_with_its_preprocessing_is_rejected():
    with pytest.raises(InputError, match="keras-unrolled generate"):
        network.check_model(models.character_lm(**TINY))
    with pytest.raises(InputError, match="Received a Sequential"):
        network.check_model(keras.Sequential())
    model = models.ImageClassifier(make_model("plain").backbone, 2)
    with pytest.raises(InputError, match="Received one without"):
        network.check_model(model)
