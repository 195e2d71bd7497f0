"""timm's checkpoints: in with timm's logits, out again to the bit, others refused by name."""

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_unrolled import InputError, convert, models
from keras_unrolled.convert import timm
from keras_unrolled.convert.timm.layout import network_variables
from tests.conftest import first_fast
from tests.convert.timm_golden import GOLDEN, SIDES, listing, make_images, make_weight

CONFIG = {
    "num_classes": 1000,
    "num_features": 2048,
    "global_pool": "avg",
    "model_args": {"in_chans": 3, "num_classes": 1000, "global_pool": "avg"},
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "license": "apache-2.0",
    },
}


def write_config(folder, name="resnet18", **changes):
    folder.mkdir(exist_ok=True)
    config = json.loads(json.dumps({"architecture": name, **CONFIG}))
    for key, value in changes.items():
        place = config if key in config else config["pretrained_cfg"]
        place[key] = value
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def torch_shapes(model):
    """Name and shape of every tensor that a checkpoint of this network must have."""
    shapes = {}
    for key, variable in network_variables(model):
        shape = tuple(variable.shape)
        if len(shape) == 4:
            shape = (shape[3], shape[2], *shape[:2])
        elif len(shape) == 2:
            shape = shape[::-1] + ((1, 1) if key == "head.fc.weight" else ())
        shapes[key] = shape
        if key.endswith("running_mean"):
            shapes[key.replace("running_mean", "num_batches_tracked")] = ()
    return shapes


def write_checkpoint(folder, name):
    """A checkpoint with the golden weights."""
    write_config(folder, name)
    shapes = torch_shapes(convert.from_timm(folder, load_weights=False))
    weights = {key: make_weight(key, shape) for key, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("timm") / "resnet18", "resnet18")


@pytest.mark.parametrize(
    "name",
    first_fast("resnetv2_18", "resnet18", "resnet26", "resnet50", "resnetv2_50", "resnetv2_101"),
)
def test_logits_equal_those_of_timm_and_export_is_lossless(name, tmp_path):
    model = convert.from_timm(write_checkpoint(tmp_path / "in", name))
    with np.load(GOLDEN) as golden:
        expected = golden[f"{name}/logits"]
    found = np.asarray(model(make_images(SIDES.get(name, 64)), training=False))
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4
    np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))

    assert convert.to_timm(model, tmp_path / "out") == name
    before, after = (load_file(tmp_path / side / "model.safetensors") for side in ("in", "out"))
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert value.dtype == after[key].dtype
        np.testing.assert_array_equal(value, after[key])
    facts = (timm.read_config(tmp_path / side) for side in ("in", "out"))
    old, new = ({k: v for k, v in f.items() if k != "license"} for f in facts)
    for key in ("mean", "std"):
        np.testing.assert_allclose(
            old["preprocessing"].pop(key), new["preprocessing"].pop(key), rtol=1e-7
        )
    assert old == new


@pytest.mark.parametrize("name", first_fast(*sorted(timm.ARCHITECTURES)))
def test_every_architecture_has_the_names_and_shapes_of_timm(name, tmp_path):
    shapes = torch_shapes(convert.from_timm(write_config(tmp_path, name), load_weights=False))
    with np.load(GOLDEN) as golden:
        assert listing(shapes) == golden[f"{name}/listing"].item()


@pytest.mark.slow
def test_preprocessing_and_the_names_of_classes_come_along(tmp_path):
    model = convert.from_timm(write_config(tmp_path), load_weights=False)
    converter = model.preprocessor.image_converter
    assert converter.image_size == (224, 224)
    assert converter.resizing.full_size == (235, 235)  # timm: floor(224 / 0.95)
    assert (converter.interpolation, converter.antialias) == ("bicubic", True)
    grey = np.full((1, 50, 60, 3), 128, "uint8")
    expected = (128 / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    found = keras.ops.convert_to_numpy(model.preprocessor(grey))[0, 7, 9]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(model.labels) == 1000
    assert (model.labels[3], model.labels[10]) == ("tiger_shark", "brambling")
    write_config(tmp_path, num_classes=2, model_args={})
    assert convert.from_timm(tmp_path, load_weights=False).labels is None
    write_config(tmp_path, num_classes=2, model_args={}, label_names=["cat", "dog"])
    config = json.loads((tmp_path / "config.json").read_text())
    config["label_names"] = ["cat", "dog"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert convert.from_timm(tmp_path, load_weights=False).labels == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet50d", "ResNet-D"),
        ("resnetv2_50d", "ResNet-D"),
        ("resnext50_32x4d", "ResNeXt"),
        ("wide_resnet50_2", "wider"),
        ("seresnet50", "attention"),
        ("ecaresnet50d", "attention"),
        ("resnet50_gn", "not batch normalization"),
        ("resnetv2_50x1_bit", "BiT"),
        ("resnet26t", "three convolutions"),
        ("resnetaa50", "blurs"),
        ("resnet51q", "another"),
        ("resnet5O", "Did you mean 'resnet50'"),
        ("vit_base_patch16_224", "not a residual net"),
    ],
)
def test_other_networks_are_rejected_by_name_and_reason(tmp_path, name, reason):
    with pytest.raises(InputError, match=reason) as error:
        convert.from_timm(write_config(tmp_path, name))
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_args": {"output_stride": 16}}, "output_stride"),
        ({"global_pool": "max"}, "'max'"),
        ({"input_size": [1, 28, 28]}, "three channels"),
        ({"interpolation": "random"}, "Expected `interpolation`"),
        ({"crop_mode": "border"}, "Expected `crop_mode`"),
        ({"num_classes": 10**9, "model_args": {}}, "Expected `num_classes`"),
        ({"pretrained_cfg": {}}, "pretrained_cfg with input_size"),
        ({"mean": "grey"}, "pretrained_cfg with input_size"),
    ],
    ids=str,
)
def test_unsupported_settings_are_rejected(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        convert.from_timm(write_config(tmp_path, **changes))


def damaged(resnet18, tmp_path, change):
    tensors = load_file(resnet18 / "model.safetensors")
    change(tensors)
    write_config(tmp_path)
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer2.0.bn1.bias"), r"Missing: layer2\.0\.bn1\.bias"),
        (lambda t: t.update(extra=np.zeros(3, "float32")), "unknown: extra"),
        (lambda t: t.update({"bn1.bias": np.zeros(32, "float32")}), r"Expected bn1\.bias"),
        (lambda t: t["bn1.bias"].fill(np.nan), r"NaN or infinity in bn1\.bias"),
        (lambda t: t.update({"fc.weight": np.zeros((5, 512), "float32")}), "for 5"),
    ],
    ids=["missing", "unknown", "shape", "nan", "classes"],
)
def test_weights_of_another_network_are_rejected(resnet18, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        convert.from_timm(damaged(resnet18, tmp_path, change))


def test_missing_or_invalid_files_are_rejected(resnet18, tmp_path):
    write_config(tmp_path)
    with pytest.raises(InputError, match="Is the folder complete"):
        convert.from_timm(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="a pickle can run code"):
        convert.from_timm(tmp_path)
    whole = (resnet18 / "model.safetensors").read_bytes()
    for content in (b"", b"not safetensors", whole[:-100], b"\xff" * 8 + whole[8:]):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="Expected a file of safetensors"):
            convert.from_timm(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="timm's configuration"):
        convert.from_timm(tmp_path)


@pytest.mark.slow
def test_networks_that_timm_lacks_are_not_exported(resnet18, tmp_path):
    for model, message in (
        (models.highway(18), "gating 'residual'"),
        (models.resnet(20, dataset="cifar"), "stem 'imagenet'"),
        (models.resnet(50, stride_conv=1), "stride_conv 2"),
        (models.resnet(18, stackwise_num_blocks=[1, 1, 1, 1]), "timm has no such network"),
    ):
        with pytest.raises(InputError, match=message):
            convert.to_timm(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="Expected a new folder"):
        convert.to_timm(convert.from_timm(resnet18), resnet18)
