"""Values of foreign weights and of their preprocessing that would give wrong scores are rejected."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_unrolled import InputError, convert
from tests.convert import torch_nets
from tests.convert.test_timm import write_config

SMALL = {"widths": (4, 8, 16), "blocks": (1, 1, 1)}
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def state():
    return torch_nets.make_net(**SMALL)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bn1.running_var", np.full(4, -0.1), r"Found -0\.1 in bn1\.running_var"),
        ("layer2.0.bn2.running_var", np.full(8, -1e-30), "variances of at least 0"),
        ("fc.bias", np.full(10, 1e300), r"up to 3\.4e\+38, .* Found 1e\+300 in fc\.bias"),
        ("fc.bias", np.full(10, -1e39), "would become infinite"),
        ("fc.bias", np.full(10, INF), r"NaN or infinity in fc\.bias"),
        ("fc.bias", np.full(10, 1 + 2j), r"real numbers .* fc\.bias is another thing.*complex128"),
        ("fc.bias", np.full(10, "1.0"), r"fc\.bias is another thing"),
        ("fc.bias", np.full(10, True), r"fc\.bias is another thing"),
        ("fc.bias", np.full(10, None), r"fc\.bias is another thing"),
    ],
    ids=str,
)
def test_weight_that_no_network_has_is_rejected(state, name, value, message):
    with pytest.raises(InputError, match=message):
        convert.from_torch({**state, name: value})


def test_complex_tensors_of_torch_are_rejected(state):
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"real numbers .* fc\.bias"):
        convert.from_torch({**state, "fc.bias": torch.full((10,), 1 + 2j)})


def test_variance_of_zero_and_large_whole_numbers_are_taken(state):
    changes = {"bn1.running_var": np.zeros(4), "fc.bias": np.full(10, 2**40)}
    model = convert.from_torch({**state, **changes})
    np.testing.assert_array_equal(model.output_dense.bias, np.full(10, 2.0**40))


@pytest.mark.slow
def test_file_of_timm_with_a_variance_below_zero_is_rejected(tmp_path):
    write_config(tmp_path)
    model = convert.from_timm(tmp_path, load_weights=False)
    weights = {}
    for name, variable in convert.timm.layout.network_variables(model):
        values = np.asarray(variable)
        axes = (3, 2, 0, 1) if values.ndim == 4 else tuple(range(values.ndim))[::-1]
        weights[name] = np.ascontiguousarray(values.transpose(axes))
    save_file(weights, tmp_path / "model.safetensors")
    convert.from_timm(tmp_path)
    weights["layer1.0.bn1.running_var"][3] = -2
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"Found -2 in layer1\.0\.bn1\.running_var"):
        convert.from_timm(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("value", "message"), [(-1.0, "variances"), (NAN, "finite weights")])
def test_model_of_keras_with_such_weights_is_rejected(value, message):
    theirs = keras.applications.ResNet50(weights=None)
    variance = theirs.get_layer("conv2_block1_1_bn").moving_variance
    variance.assign(np.full(variance.shape, value))
    with pytest.raises(InputError, match=f"{message}.* in the model"):
        convert.from_keras_applications(theirs)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"std": [0.2, 0, 0.2]}, "std"),
        ({"std": [0.2, -0.2, 0.2]}, "std"),
        ({"std": [0.2, NAN, 0.2]}, "std"),
        ({"std": [0.2, INF, 0.2]}, "std"),
        ({"std": [0.2, 0.2]}, "std"),
        ({"std": []}, "std"),
        ({"std": 0.2}, "std"),
        ({"mean": [NAN, 0.5, 0.5]}, "mean"),
        ({"mean": [0.5, 0.5, -INF]}, "mean"),
        ({"mean": [0.5] * 4}, "mean"),
        ({"mean": [127.0] * 3}, "mean"),
        ({"mean": [0.5] * 3, "std": [255] * 3}, "std"),
        ({"mean": "abc"}, "mean"),
        ({"mean": ["a", "b", "c"]}, "mean"),
        ({"mean": [[0.5], [0.5, 0.5], []]}, "mean"),
        ({"mean": None}, "mean"),
        ({"image_size": [32]}, "image_size"),
        ({"image_size": (32, 32, 3)}, "image_size"),
        ({"image_size": "32"}, "image_size"),
        ({"image_size": None}, "image_size"),
        ({"image_size": 0}, "image_size"),
        ({"image_size": 32.0}, "image_size"),
        ({"image_size": (32, -1)}, "image_size"),
        ({"crop_fraction": 0}, "crop_fraction"),
        ({"crop_fraction": "1"}, "crop_fraction"),
        ({"interpolation": "x"}, "interpolation"),
        ({"interpolation": None}, "interpolation"),
        ({"crop_to_aspect_ratio": "yes"}, "crop_to_aspect_ratio"),
    ],
    ids=str,
)
def test_impossible_entry_of_preprocessing_is_named(state, changes, name):
    with pytest.raises(InputError, match=rf'Expected `preprocessing\["{name}"\]` to be .*Received'):
        convert.from_torch(state, preprocessing=changes)


def test_dtype_that_is_none_is_rejected(state):
    with pytest.raises(InputError, match="Expected a dtype policy"):
        convert.from_torch(state, dtype="float31")


@pytest.mark.parametrize("changes", [3, "abc", [1], {3: 4}], ids=str)
def test_preprocessing_that_is_no_dict_is_rejected(state, changes):
    with pytest.raises(InputError, match="Expected `preprocessing` to be a dict"):
        convert.from_torch(state, preprocessing=changes)


def test_preprocessing_may_be_given_as_arrays_and_one_side(state):
    changes = {"image_size": np.int64(24), "mean": np.full(3, 0.5), "std": np.float32([0.25])}
    model = convert.from_torch(state, preprocessing=changes)
    converter = model.preprocessor.image_converter
    assert converter.image_size == (24, 24)
    pixel = np.asarray(model.preprocessor(np.full((1, 24, 24, 3), 100, "uint8")))[0, 0, 0]
    np.testing.assert_allclose(pixel, (100 / 255 - 0.5) / 0.25, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", convert.pytorch.preparing.INTERPOLATIONS)
def test_every_interpolation_prepares_images(state, name):
    model = convert.from_torch(state, preprocessing={"interpolation": name})
    assert model.predict(np.zeros((1, 50, 40, 3), "uint8"), verbose=0).shape == (1, 10)
