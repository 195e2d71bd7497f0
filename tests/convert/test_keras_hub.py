"""A ResNet of KerasHub, with its weights, computes the same here."""

import json
import shutil

import h5py
import keras
import keras_hub
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, convert
from tests.nets import randomize


def make(pre, block_type="basic_block", *, classes=7, preprocessor=None, **options):
    backbone = keras_hub.models.ResNetBackbone(
        **{
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "stackwise_num_filters": [64, 16, 24],
            "stackwise_num_blocks": [2, 1, 2],
            "stackwise_num_strides": [1, 2, 2],
            "block_type": block_type,
            "use_pre_activation": pre,
            **options.pop("network", {}),
        }
    )
    model = keras_hub.models.ResNetImageClassifier(
        backbone, num_classes=classes, preprocessor=preprocessor, **options
    )
    randomize(model)
    return model


def make_preprocessor(**options):
    settings = {"scale": [1 / 60, 1 / 55, 1 / 50], "offset": [-2.0, -1.9, -1.8]}
    converter = keras_hub.layers.ResNetImageConverter(**{**settings, **options})
    return keras_hub.models.ResNetImageClassifierPreprocessor(converter)


def difference(found, expected):
    found, expected = (keras.ops.convert_to_numpy(x) for x in (found, expected))
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(2, 65, 50, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("block_type", ["basic_block", "bottleneck_block"])
@pytest.mark.parametrize("pre", [False, True])
def test_saved_preset_gives_the_same_logits(pre, block_type, images, tmp_path):
    theirs = make(pre, block_type)
    theirs.save_to_preset(str(tmp_path))
    ours = ku.from_preset(tmp_path)
    assert difference(ours(images, training=False), theirs(images, training=False)) < 1e-5
    features = ours.backbone(images, training=False), theirs.backbone(images, training=False)
    assert difference(*features) < 1e-5
    assert (ours.num_classes, ours.labels, ours.preprocessor) == (7, None, None)
    assert ours.backbone.gating == "residual"


@pytest.mark.slow
@pytest.mark.parametrize(("pre", "classes"), [(False, 1000), (True, 1000)])
def test_network_of_imagenet_gives_the_same_logits(pre, classes, images, tmp_path):
    network = {
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": [3, 4, 6, 3],
        "stackwise_num_strides": [1, 2, 2, 2],
    }
    theirs = make(pre, "bottleneck_block", classes=classes, network=network)
    theirs.save_to_preset(str(tmp_path))
    ours = ku.from_preset(tmp_path)
    assert difference(ours(images, training=False), theirs(images, training=False)) < 1e-5
    assert ours.labels[1] == "goldfish"


def test_model_in_memory_keeps_pooling_activation_and_dropout(images):
    theirs = make(False, pooling="max", activation="softmax", dropout=0.25)
    ours = convert.from_keras_hub(theirs)
    assert (ours.pooling, ours.activation, ours.dropout) == ("max", "softmax", 0.25)
    assert difference(ours(images, training=False), theirs(images, training=False)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [{"image_shape": (48, 48, 1)}, {"image_shape": (None, None, 5)}]
)
def test_shape_of_images_is_kept(network, tmp_path, rng):
    theirs = make(True, network=network, preprocessor=make_preprocessor(scale=1 / 255, offset=None))
    theirs.save_to_preset(str(tmp_path))
    ours = ku.from_preset(tmp_path)
    assert ours.backbone.image_shape == tuple(network["image_shape"])
    images = rng.integers(0, 256, (2, 48, 48, network["image_shape"][2])).astype("uint8")
    assert difference(ours.predict(images, verbose=0), theirs.predict(images, verbose=0)) < 1e-5


@pytest.mark.slow
def test_preprocessor_scales_and_resizes_as_theirs(tmp_path, rng):
    theirs = make(False, preprocessor=make_preprocessor(image_size=(40, 48), antialias=True))
    theirs.save_to_preset(str(tmp_path))
    ours = ku.from_preset(tmp_path)
    fitting = rng.integers(0, 256, (2, 40, 48, 3)).astype("uint8")
    assert difference(ours.predict(fitting, verbose=0), theirs.predict(fitting, verbose=0)) < 1e-5
    # Ours rounds what it resizes, as image libraries do: half a gray level and no more.
    smooth = np.kron(rng.integers(0, 256, (1, 5, 6, 3)), np.ones((1, 16, 16, 1))).astype("uint8")
    found, expected = (
        keras.ops.convert_to_numpy(model.preprocessor(smooth)) for model in (ours, theirs)
    )
    assert found.shape == expected.shape == (1, 40, 48, 3)
    assert np.abs((found - expected) * [60, 55, 50]).max() < 0.51


@pytest.mark.slow
def test_converted_preset_is_saved_and_comes_back(images, tmp_path):
    theirs = make(True, preprocessor=make_preprocessor(image_size=(40, 48)))
    theirs.save_to_preset(str(tmp_path / "theirs"))
    ours = ku.from_preset(tmp_path / "theirs")
    record = ku.save_preset(ours, tmp_path / "ours")
    assert record.origin == "regated"
    assert record.source["gating"] == "residual"
    assert set(record.source["files"]) == {"model.weights.h5", "task.weights.h5"}
    again = ku.from_preset(tmp_path / "ours")
    assert difference(again(images, training=False), ours(images, training=False)) == 0.0


@pytest.mark.slow
def test_options_of_from_preset_apply(images, tmp_path):
    theirs = make(False)
    theirs.save_to_preset(str(tmp_path))
    expected = theirs(images, training=False)
    gated = ku.from_preset(tmp_path, gating="coupled")
    assert difference(gated(images, training=False), expected) < 1e-4
    assert ku.from_preset(tmp_path, num_classes=3).num_classes == 3
    assert difference(ku.from_preset(tmp_path, load_weights=False)(images), expected) > 0.01
    assert ku.from_preset(tmp_path, dtype="mixed_bfloat16").backbone.compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"block_type": "bottleneck_block_vd"}, "a ResNet-vd"),
        (
            {"input_conv_filters": [32, 32, 64], "input_conv_kernel_sizes": [3, 3, 3]},
            r"input_conv_kernel_sizes=\[3, 3, 3\]",
        ),
        ({"input_conv_kernel_sizes": [3]}, r"input_conv_kernel_sizes=\[3\]"),
        (
            {"stackwise_num_filters": [64, 64, 64], "stackwise_num_strides": [1, 1, 2]},
            r"Those of stage 1 \(stride 1, 64 to 64 channels\)",
        ),
    ],
    ids=["vd", "deep stem", "small kernel", "projection that is not needed"],
)
def test_networks_that_cannot_be_expressed_are_rejected(network, message, tmp_path):
    make(False, network=network).save_to_preset(str(tmp_path))
    with pytest.raises(InputError, match=message):
        ku.from_preset(tmp_path)


def test_other_classes_of_keras_hub_are_rejected_by_name(tmp_path):
    backbone = keras_hub.models.VGGBackbone([1], [8])
    model = keras_hub.models.VGGImageClassifier(backbone, num_classes=3)
    with pytest.raises(InputError, match="Received a VGGImageClassifier"):
        convert.from_keras_hub(model)
    model.save_to_preset(str(tmp_path))
    with pytest.raises(InputError, match="Found KerasHub's VGGImageClassifier"):
        ku.from_preset(tmp_path)


@pytest.mark.slow
def test_padding_preprocessor_is_rejected():
    preprocessor = make_preprocessor(crop_to_aspect_ratio=False, pad_to_aspect_ratio=True)
    with pytest.raises(InputError, match="pad_to_aspect_ratio"):
        convert.from_keras_hub(make(False, preprocessor=preprocessor))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras_hub") / "saved"
    make(False).save_to_preset(str(folder))
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def edit_config(folder, **changes):
    task = json.loads((folder / "task.json").read_text())
    for name, value in changes.items():
        place = task["config"] if name in task["config"] else task["config"]["backbone"]["config"]
        place[name] = value
    (folder / "task.json").write_text(json.dumps(task))


def test_backbone_alone_is_rejected(folder):
    (folder / "task.json").unlink()
    with pytest.raises(InputError, match="a backbone without a head"):
        ku.from_preset(folder)


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
def test_missing_and_damaged_weights_are_rejected(folder, name):
    whole = (folder / name).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not HDF5"):
        (folder / name).write_bytes(content)
        with pytest.raises(InputError, match=f"Expected .*{name}"):
            ku.from_preset(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"Expected weights in .*{name}. Found no such file"):
        ku.from_preset(folder)


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
def test_array_that_is_declared_but_not_there_is_not_allocated(folder, name):
    names = []
    with h5py.File(folder / name, "r+") as file:
        file.visititems(lambda path, node: names.append(path) if hasattr(node, "shape") else None)
        del file[names[0]]
        file.create_dataset(names[0], (10**6, 10**6), "float32", chunks=(1, 1000))
    with pytest.raises(InputError, match="not an array of numbers that are all in the file"):
        ku.from_preset(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stackwise_num_blocks": [1, 1, 2]}, "to another network"),
        ({"stackwise_num_blocks": [3, 1, 2]}, "to another network"),
        ({"stackwise_num_filters": [64, 16, 25]}, "cannot be loaded"),
        ({"stackwise_num_filters": [64, 16, 60_000]}, "of at most"),
        ({"num_classes": 8}, "cannot be loaded"),
        ({"num_classes": 10**6}, "too small"),
        ({"num_classes": "many"}, "Expected `num_classes`|ResNetImageClassifier in"),
        (
            {"stackwise_num_filters": "wide"},
            "Expected `stackwise_num_filters`|Found something else",
        ),
        ({"backbone": None}, "Found something else"),
    ],
    ids=str,
)
def test_configuration_of_another_network_is_rejected(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(InputError, match=message):
        ku.from_preset(folder)


def test_weights_that_are_not_finite_are_rejected(folder):
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        kernels = []
        file.visititems(lambda _, n: kernels.append(n) if getattr(n, "ndim", 0) == 4 else None)
        kernels[0][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in"):
        ku.from_preset(folder)


@pytest.mark.slow
def test_preprocessor_without_a_size_is_saved(tmp_path, rng):
    ours = convert.from_keras_hub(make(False, preprocessor=make_preprocessor()))
    assert ours.preprocessor.image_converter.image_size is None
    record = ku.save_preset(ours, tmp_path / "saved")
    assert record.macs is None
    images = rng.integers(0, 256, (1, 40, 50, 3)).astype("uint8")
    again = ku.from_preset(tmp_path / "saved").predict(images, verbose=0)
    np.testing.assert_array_equal(again, ours.predict(images, verbose=0))
