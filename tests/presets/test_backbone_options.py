"""A loaded network takes options that keep the shapes of its weights; others are named."""

import keras_hub
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from tests.nets import randomize

NAMES = [f"class{i}" for i in range(4)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder, raw images of its size, and what the network says of them."""
    folder = tmp_path_factory.mktemp("options") / "small"
    model = models.resnet(8, dataset="cifar", num_classes=4, labels=NAMES, epsilon=1e-3)
    randomize(model)
    ku.save_preset(model, folder)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    return folder, images, model.predict(images, verbose=0)


@pytest.mark.parametrize(
    "options",
    [
        {"layer_dropout_unit": "sample"},
        {"momentum": 0.5},
        {"momentum": 0.5, "layer_dropout_unit": "sample"},
    ],
    ids=str,
)
def test_options_that_keep_the_scores(saved, options):
    folder, images, expected = saved
    model = ku.from_preset(folder, **options)
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    config = model.backbone.get_config()
    assert {name: config[name] for name in options} == options
    assert model.labels == NAMES
    assert model.provenance.is_copy


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"layer_dropout": 0.4},
        {"layer_dropout": 0.4, "layer_dropout_unit": "sample"},
        {"epsilon": 0.1},
        {"mix_relu": False},
        {"transform_relu": True},
        {"stackwise_num_strides": [1, 1, 1]},
    ],
    ids=str,
)
def test_options_that_change_the_scores(saved, options):
    folder, images, expected = saved
    model = ku.from_preset(folder, **options)
    assert np.abs(model.predict(images, verbose=0) - expected).max() > 1e-3
    assert not model.provenance.is_copy
    built = models.resnet(8, dataset="cifar", num_classes=4, **{"epsilon": 1e-3, **options})
    built.set_weights(ku.from_preset(folder).get_weights())
    np.testing.assert_array_equal(
        model.predict(images, verbose=0), built.predict(images, verbose=0)
    )


@pytest.mark.slow
def test_stride_conv_of_a_bottleneck(tmp_path, rng):
    images = rng.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    net = {"block_type": "bottleneck", "shortcut": "projection", "num_classes": 3}
    model = models.resnet(8, dataset="cifar", **net)
    randomize(model)
    ku.save_preset(model, tmp_path / "saved")
    other = models.resnet(8, dataset="cifar", **net, stride_conv=1)
    other.set_weights(model.get_weights())
    found = ku.from_preset(tmp_path / "saved", stride_conv=1).predict(images, verbose=0)
    np.testing.assert_array_equal(found, other.predict(images, verbose=0))
    assert np.abs(found - model.predict(images, verbose=0)).max() > 1e-3


def test_preprocessor_makes_images_of_the_networks_size(saved):
    folder, images, _ = saved
    model = ku.from_preset(folder, image_shape=(48, 40, 3))
    assert model.preprocessor.image_converter.image_size == (48, 40)
    assert not model.provenance.is_copy  # its scores are not those of the record
    assert model.predict(images, verbose=0).shape == (3, 4)
    assert ku.from_preset(folder).preprocessor.image_converter.image_size == (32, 32)


@pytest.mark.slow
def test_options_go_together_with_a_new_head_a_gating_and_random_weights(saved):
    folder, images, expected = saved
    model = ku.from_preset(folder, num_classes=2, layer_dropout=0.3)
    assert (model.num_classes, model.backbone.layer_dropout) == (2, 0.3)
    model = ku.from_preset(folder, gating="full", transform_bias=-3.0, carry_bias=2.0, momentum=0.8)
    options = model.backbone.options
    assert (options["transform_bias"], options["carry_bias"], options["momentum"]) == (-3, 2, 0.8)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-3, atol=1e-3)
    model = ku.from_preset(folder, load_weights=False, layer_dropout=0.3)
    assert np.abs(model.predict(images, verbose=0) - expected).max() > 1e-2
    assert ku.from_preset("plain_bn_imagenet", load_weights=False, momentum=0.8).backbone.options[
        "momentum"
    ] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "imagenet"}, "keep the shapes of the weights.*Received: stem='imagenet'"),
        ({"width_multiplier": 2}, "Received: width_multiplier=2"),
        ({"stackwise_num_blocks": [2, 2, 2]}, "Received: stackwise_num_blocks"),
        ({"shortcut": "projection"}, "Received: shortcut='projection'"),
        ({"normalization": None}, "Received: normalization=None"),
        ({"image_shape": (None, None, 1)}, r"Received: image_shape=\(None, None, 1\)"),
        ({"image_shape": 32}, "Expected `image_shape`"),
        ({"layer_dropout": 1.5}, "Expected `layer_dropout`"),
        ({"transform_bias": -2.0}, "only with a gating"),
        ({"gating": "residual", "carry_bias": 1.0}, "only with a gating"),
        (
            {"gating": "coupled", "carry_bias": 9},
            "free gates are: transform. Received: carry_bias=9",
        ),
        ({"gating": "c_only", "transform_bias": 0}, "Received: transform_bias=0"),
        ({"load_weights": "no"}, "Expected `load_weights` to be True or False"),
        ({"layer_drop": 0.1}, "Did you mean 'layer_dropout'"),
        ({"num_class": 3}, "Did you mean 'num_classes'"),
    ],
    ids=str,
)
def test_other_options_are_rejected_by_name(saved, options, message):
    with pytest.raises(InputError, match=message):
        ku.from_preset(saved[0], **options)


def test_language_model_takes_no_options_of_an_image_network():
    with pytest.raises(InputError, match=r"language model\. Received: layer_dropout=0\.1"):
        ku.from_preset("highway_small_ptb", layer_dropout=0.1)
    with pytest.raises(InputError, match="Received: gating='full', num_classes=3"):
        ku.from_preset("highway_small_ptb", gating="full", num_classes=3)


def test_new_head_of_keras_hub_has_no_labels(saved):
    folder, images, expected = saved
    load = keras_hub.models.ImageClassifier.from_preset
    model = load(str(folder), num_classes=3)
    assert (model.num_classes, model.labels) == (3, None)
    assert model.predict(images, verbose=0).shape == (3, 3)
    kept = load(str(folder))
    assert kept.labels == NAMES
    np.testing.assert_array_equal(kept.predict(images, verbose=0), expected)
    assert load(str(folder), num_classes=2, labels=["x", "y"]).labels == ["x", "y"]


def test_new_head_of_the_class_itself(saved):
    load = models.ImageClassifier.from_preset
    assert load(saved[0], num_classes=4).labels is None  # of as many classes, but not those
    assert load(saved[0], labels=("x", "y")).num_classes == 2
    assert load(saved[0]).labels == NAMES
    with pytest.raises(InputError, match="one label for each of 3 classes"):
        load(saved[0], num_classes=3, labels=["x"])


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("ImageBackbone", "resnet_bn_cifar10"),
        ("ImageClassifierPreprocessor", "resnet_bn_cifar10"),
        ("ImageConverter", "resnet_bn_cifar10"),
        ("CharacterBackbone", "highway_small_ptb"),
        ("CharacterLMPreprocessor", "highway_small_ptb"),
        ("CharacterTokenizer", "highway_small_ptb"),
    ],
)
def test_every_part_of_a_preset_loads_by_its_name(name, preset):
    cls = getattr(models, name)
    assert type(cls.from_preset(preset)) is cls
    with pytest.raises(InputError, match=f"Did you mean '{preset}'"):
        cls.from_preset(preset[:-1])
