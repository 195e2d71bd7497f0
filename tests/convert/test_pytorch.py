"""State dicts of PyTorch: the same logits as in NumPy, whatever their layout; others are named."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, convert
from tests.convert import torch_nets

CIFAR = {"widths": (16, 32, 64), "blocks": (3, 3, 3)}
SMALL = {"widths": (4, 8, 16), "blocks": (1, 2, 1)}
LARGE = {"widths": (8, 16, 32, 64), "blocks": (2, 1, 1, 2), "stem": 7}


def make_images(side, channels=3):
    return np.random.default_rng(side).normal(size=(2, side, side, channels)).astype("float32")


def difference(model, images, expected):
    found = keras.ops.convert_to_numpy(model(images, training=False))
    return np.abs(found - expected).max() / np.abs(expected).max()


def channels_first(images):
    return images.transpose(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["both", "last", "first"])
@pytest.mark.parametrize("options", [CIFAR, {**SMALL, "stem_width": 3}], ids=["20 layers", "wider"])
def test_cifar_net_that_pads_gives_the_logits_of_numpy(padding, options):
    weights = torch_nets.make_net(**options, head="linear")
    images = make_images(16)
    expected = torch_nets.logits(weights, channels_first(images), padding)
    model = convert.from_torch(weights, padding=padding)
    assert difference(model, images, expected) < 1e-5
    assert model.backbone.options["shortcut"] == "pad"
    assert model.backbone.stackwise_num_blocks == list(options["blocks"])
    others = {"both", "last", "first"} - {padding}
    for other in others:  # the side matters
        assert difference(convert.from_torch(weights, padding=other), images, expected) > 1e-2


def test_padding_is_on_both_sides_by_default():
    weights = torch_nets.make_net(**SMALL)
    images = make_images(16)
    expected = torch_nets.logits(weights, channels_first(images), "both")
    assert difference(convert.from_torch(weights), images, expected) < 1e-5


@pytest.mark.parametrize("depth", [32, 56, pytest.param(110, marks=pytest.mark.slow)])
def test_depth_is_found(depth):
    blocks = [(depth - 2) // 6] * 3
    weights = torch_nets.make_net((16, 32, 64), blocks, head="linear", classes=100)
    model = convert.from_torch(weights)
    assert model.backbone.stackwise_num_blocks == blocks
    assert model.num_classes == 100
    images = make_images(8)
    expected = torch_nets.logits(weights, channels_first(images))
    assert difference(model, images, expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {**CIFAR, "shortcut": "shortcut", "head": "linear"},  # akamaster's option B
        {**CIFAR, "shortcut": "downsample"},  # chenyaofo's
        {**LARGE, "stem": 3, "shortcut": "shortcut", "head": "linear"},  # kuangliu's
        {**LARGE, "stem": 3, "shortcut": "shortcut", "bottleneck": True},
        {**SMALL, "bottleneck": True, "shortcut": "downsample", "channels": 1},
        {**LARGE, "shortcut": "downsample"},  # torchvision's
        {**LARGE, "shortcut": "downsample", "bottleneck": True, "classes": 7},
    ],
    ids=str,
)
def test_net_that_projects_gives_the_logits_of_numpy(options):
    weights = torch_nets.make_net(**options)
    images = make_images(32, options.get("channels", 3))
    expected = torch_nets.logits(weights, channels_first(images))
    model = convert.from_torch(weights)
    assert difference(model, images, expected) < 1e-5
    assert model.num_classes == options.get("classes", 10)
    assert model.labels is None


@pytest.mark.parametrize("bottleneck", [False, True])
def test_pre_activated_net_of_timm_gives_the_logits_of_numpy(bottleneck):
    weights = torch_nets.make_net(**LARGE, pre=True, bottleneck=bottleneck)
    images = make_images(64)
    expected = torch_nets.pre_logits(weights, channels_first(images))
    assert difference(convert.from_torch(weights), images, expected) < 1e-5


def make_small():
    return torch_nets.make_net(**SMALL)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"_orig_mod.module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"state": {}}},
        lambda state: {"net": {f"module.{n}": v for n, v in state.items()}, "acc": 93.0},
        lambda state: {"state_dict": {f"model.{n}": v for n, v in state.items()}},
        lambda state: {"n_averaged": np.array(3)} | {f"module.{n}": v for n, v in state.items()},
    ],
    ids=["module", "compiled", "state_dict", "model", "net", "lightning", "averaged"],
)
def test_wrappers_and_prefixes_are_taken_off(wrap):
    images = make_images(16)
    expected = np.asarray(convert.from_torch(make_small())(images, training=False))
    assert difference(convert.from_torch(wrap(make_small())), images, expected) == 0.0


def pixel(model, value, channels=3):
    """What the preprocessor makes of one gray value."""
    images = np.full((1, 50, 60, channels), value, "uint8")
    return np.asarray(model.preprocessor(images))[0, 3, 4]


@pytest.mark.slow
def test_preprocessing_follows_the_layout_and_may_be_changed():
    imagenet = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    cifar = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])
    large = {**LARGE, "shortcut": "downsample"}
    for options, (mean, std), size in (
        ({**SMALL, "head": "linear"}, imagenet, (32, 32)),
        (SMALL, cifar, (32, 32)),
        ({**large, "stem": 3, "head": "linear"}, cifar, (32, 32)),
        (large, imagenet, (224, 224)),
    ):
        model = convert.from_torch(torch_nets.make_net(**options))
        assert model.preprocessor.image_converter.image_size == size
        np.testing.assert_allclose(pixel(model, 100), (100 / 255 - mean) / std, atol=1e-5)
    half = {"mean": [0.5] * 3, "std": [0.25] * 3, "image_size": (40, 48), "crop_fraction": 0.8}
    model = convert.from_torch(make_small(), preprocessing=half)
    np.testing.assert_allclose(pixel(model, 100), (100 / 255 - 0.5) / 0.25, atol=1e-5)
    converter = model.preprocessor.image_converter
    assert (converter.image_size, converter.resizing.full_size) == ((40, 48), (50, 60))
    gray = convert.from_torch(torch_nets.make_net(**SMALL, channels=1))
    expected = (100 / 255 - cifar[0].mean()) / cifar[1].mean()
    np.testing.assert_allclose(pixel(gray, 100, 1), [expected], atol=1e-5)
    with pytest.raises(InputError, match="Did you mean 'mean'"):
        convert.from_torch(make_small(), preprocessing={"means": [0.5] * 3})


def test_labels_are_kept_and_those_of_imagenet_are_known():
    names = [f"c{i}" for i in range(10)]
    assert convert.from_torch(make_small(), labels=names).labels == names
    net = torch_nets.make_net(**LARGE, shortcut="downsample", classes=1000)
    assert convert.from_torch(net).labels[1] == "goldfish"


def test_defaults_of_the_package_are_not_changed():
    from keras_unrolled import models

    before = {name: dict(entry) for name, entry in models.DATASETS.items()}
    convert.from_torch(make_small())
    assert before == models.DATASETS


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def stretched(state, name, shape):
    return {**state, name: np.ones(shape, "float32")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "layer2.0.bn1.bias"), r"Missing: layer2\.0\.bn1\.bias"),
        (lambda s: without(s, "fc.bias"), r"Missing: fc\.bias"),
        (lambda s: without(s, "fc.weight"), "without its dense layer fc"),
        (lambda s: without(s, "bn1.running_mean"), "which is not batch normalization"),
        (lambda s: s | {"extra": np.zeros(3)}, "unknown: extra"),
        (lambda s: stretched(s, "bn1.bias", (5,)), r"Expected bn1\.bias"),
        (lambda s: s | {"bn1.bias": np.full(4, np.nan)}, r"NaN or infinity in bn1\.bias"),
        (lambda s: stretched(s, "layer1.0.conv1.weight", (4, 3, 3, 3)), "layer1.0.conv1.weight in"),
        (lambda s: stretched(s, "fc.weight", (1, 16)), "Expected `num_classes`"),
        (lambda s: stretched(s, "fc.weight", (10, 999)), r"Expected fc\.weight"),
        (lambda s: s | {"bn1.bias": "four"}, "bn1.bias is another thing"),
        (lambda s: stretched(s, "conv1.weight", (4, 3, 5, 5)), "kernel of 5x5"),
        (lambda s: stretched(s, "layer2.0.conv1.weight", (8, 4, 5, 5)), "kernels of 5x5, 3x3"),
        (lambda s: stretched(s, "layer3.0.conv1.weight", (16, 8)), "not as in a ResNet"),
        (lambda s: stretched(s, "layer2.0.conv2.weight", (8, 2, 3, 3)), "ResNeXt"),
        (lambda s: stretched(s, "layer2.0.conv2.weight", (9, 8, 3, 3)), "wider inside"),
        (
            lambda s: s | {"layer2.0.downsample.0.weight": np.ones((8, 4, 1, 1))},
            "no projection in the shortcut of layer3.0",
        ),
        (
            lambda s: s | {"layer1.0.shortcut.0.weight": np.ones((4, 4, 1, 1))},
            "a projection it does not need in the shortcut of layer1.0",
        ),
        (lambda s: s | {"layer1.0.se.fc1.weight": np.ones((1, 4, 1, 1))}, "has attention"),
        (lambda s: without(s, "bn1.weight"), "pre-activated net without a last normalization"),
        (lambda s: stretched(s, "bn1.weight", (16,)), "pre-activated net, of which timm's"),
    ],
)
def test_weights_that_do_not_fit_are_rejected(change, message):
    with pytest.raises(InputError, match=message):
        convert.from_torch(change(make_small()))


def test_imagenet_net_without_projections_is_rejected():
    with pytest.raises(InputError, match=r"no projection in the shortcut of layer2\.0"):
        convert.from_torch(torch_nets.make_net(**LARGE))


def test_padding_of_a_net_that_projects_is_rejected():
    projects = torch_nets.make_net(**SMALL, shortcut="downsample")
    with pytest.raises(InputError, match="Expected no padding"):
        convert.from_torch(projects, padding="last")
    with pytest.raises(InputError, match="Expected `padding` to be one of"):
        convert.from_torch(make_small(), padding="left")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ("cls_token pos_embed blocks.0.attn.qkv.weight head.weight", "vision transformer"),
        ("class_token encoder.layers.encoder_layer_0.ln_1.weight", "vision transformer"),
        ("layers.0.blocks.0.attn.relative_position_bias_table", "Swin"),
        ("conv_stem.weight bn1.weight blocks.0.0.conv_dw.weight", "EfficientNet"),
        ("features.0.0.weight features.1.0.block.0.0.weight classifier.1.weight", "EfficientNet"),
        ("features.0.weight features.3.weight classifier.0.weight", "VGG"),
        ("features.conv0.weight features.denseblock1.denselayer1.conv1.weight", "DenseNet"),
        ("stem.0.weight stages.0.blocks.0.conv_dw.weight head.fc.weight", "ConvNeXt"),
        ("stages.0.blocks.0.attn.qkv.weight stages.0.blocks.0.mlp.fc1.weight", "a transformer"),
        ("stages.0.0.conv1.gain stem.conv1.weight", "without normalization"),
        ("features.0.weight features.3.squeeze.weight", "SqueezeNet"),
        ("features.0.0.weight features.1.conv.0.0.weight", "MobileNet"),
        ("stem.0.weight layer1.0.conv1.0.weight fc.weight", "for video"),
        ("stem.conv.weight s1.b1.conv1.conv.weight head.fc.weight", "RegNet"),
        ("backbone.body.conv1.weight rpn.head.conv.0.0.weight", "detection"),
        (
            "backbone.conv1.weight backbone.layer1.0.conv1.weight classifier.4.weight",
            "segmentation",
        ),
        ("resnet.embedder.embedder.convolution.weight classifier.1.weight", "hf://timm/resnet50"),
        ("visual.conv1.weight visual.layer1.0.conv1.weight", "CLIP"),
        ("bert.encoder.layer.0.attention.self.query.weight", "transformer"),
        ("Mixed_5b.branch1x1.conv.weight", "Inception"),
        ("conv1.0.weight layer1.0.conv1.weight fc.weight", "three convolutions"),
        ("first.weight second.weight", "weights first.weight, second.weight in the state dict"),
    ],
    ids=lambda value: value.split()[0] if " " in value else None,
)
def test_state_dict_of_another_network_is_named(names, what):
    with pytest.raises(InputError, match=what) as error:
        convert.from_torch({name: np.zeros(2, "float32") for name in names.split()})
    assert "Expected the state dict of a ResNet" in str(error.value)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({}, "a dict of nothing"),
        ({"epoch": 3, "args": "x"}, "a dict of 'epoch', 'args'"),
        ([1, 2], "a list"),
        (np.zeros(3), "a ndarray"),
        ({"state_dict": {"a": 1}}, "a dict of 'state_dict'"),
    ],
    ids=str,
)
def test_what_is_no_state_dict_is_rejected(state, found):
    with pytest.raises(InputError, match=f"Expected a state dict in the state dict.*Found {found}"):
        convert.from_torch(state)
