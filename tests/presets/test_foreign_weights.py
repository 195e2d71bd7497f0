"""`from_preset` reads weights of other libraries from files, or names what they are."""

import importlib.util
import pickle
import sys
import types

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import keras_unrolled as ku
from keras_unrolled import InputError
from tests.convert import torch_nets

SMALL = {"widths": (4, 8, 16), "blocks": (1, 2, 1), "head": "linear"}


@pytest.fixture(scope="module")
def state():
    return torch_nets.make_net(**SMALL)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).normal(size=(2, 16, 16, 3)).astype("float32")


@pytest.fixture(scope="module")
def expected(state, images):
    return torch_nets.logits(state, images.transpose(0, 3, 1, 2))


def difference(model, images, expected):
    found = keras.ops.convert_to_numpy(model(images, training=False))
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.fixture
def file(state, tmp_path):
    save_file(state, tmp_path / "resnet.safetensors", metadata={"format": "pt"})
    return tmp_path / "resnet.safetensors"


@pytest.mark.slow
def test_safetensors_are_a_preset_like_any_other(file, images, expected, tmp_path):
    model = ku.from_preset(str(file))
    assert difference(model, images, expected) < 1e-5
    assert difference(ku.from_preset(file, gating="coupled"), images, expected) < 1e-4
    assert ku.from_preset(file, labels=["x", "y"]).labels == ["x", "y"]
    assert ku.from_preset(file, layer_dropout=0.2).backbone.layer_dropout == 0.2
    assert difference(ku.from_preset(file, load_weights=False), images, expected) > 1e-2
    record = ku.save_preset(model, tmp_path / "saved")
    assert (record.origin, record.source["name"]) == ("regated", "resnet.safetensors")
    assert difference(ku.from_preset(tmp_path / "saved"), images, expected) < 1e-5


@pytest.mark.parametrize("kind", ["float16", "float64", "bfloat16"])
def test_other_floating_types_are_read(kind, state, images, tmp_path):
    def convert(values):
        if kind == "bfloat16":  # cut off, so that the file holds the upper half of each number
            return (values.view("<u4") & 0xFFFF0000).view("<f4")
        return values.astype(kind)

    rounded = {n: convert(v) for n, v in state.items() if v.dtype == "float32"}
    path = tmp_path / "net.safetensors"
    if kind == "bfloat16":
        from safetensors import TensorSpec, serialize_file

        halves = {n: np.ascontiguousarray(v.view("<u2")[..., 1::2]) for n, v in rounded.items()}
        specs = {
            n: TensorSpec(dtype=kind, shape=v.shape, data_ptr=v.ctypes.data, data_len=v.nbytes)
            for n, v in halves.items()
        }
        serialize_file(specs, path)
    else:
        save_file(rounded, path)
    expected = torch_nets.logits(rounded, images.transpose(0, 3, 1, 2))
    assert difference(ku.from_preset(path), images, expected) < 1e-5


def test_damaged_safetensors_are_rejected(file):
    whole = file.read_bytes()
    for content in (b"", b"nothing of the kind", whole[:-100], whole[:50]):
        file.write_bytes(content)
        with pytest.raises(InputError, match="Expected a file of safetensors in"):
            ku.from_preset(file)


def test_another_network_is_named_with_its_file(tmp_path):
    save_file({"cls_token": np.zeros((1, 1, 8), "float32")}, tmp_path / "vit.safetensors")
    with pytest.raises(InputError, match=r"Found a vision transformer in .*vit\.safetensors"):
        ku.from_preset(tmp_path / "vit.safetensors")


def make_torch(load):
    """A stand-in for torch, whose `load` gives what a test wants."""
    module = types.ModuleType("torch")
    module.load = load
    return module


class Tensor:
    """What `from_torch` uses of a tensor of torch."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, "torch.bfloat16"

    def detach(self):
        return self

    cpu = float = detach

    def is_floating_point(self):
        return self.values.dtype.kind == "f"

    def numpy(self):
        return self.values


@pytest.mark.parametrize("suffix", ["pth", "pt", "th", "bin", "ckpt", "pth.tar"])
def test_file_of_torch_is_read_without_running_its_code(
    suffix, state, images, expected, tmp_path, monkeypatch
):
    calls = []

    def load(path, **options):
        calls.append((path, options))
        return {"state_dict": {f"module.{n}": Tensor(v) for n, v in state.items()}, "best": 91.2}

    monkeypatch.setitem(sys.modules, "torch", make_torch(load))
    path = tmp_path / f"resnet.{suffix}"
    path.write_bytes(b"as torch wrote it")
    assert difference(ku.from_preset(path), images, expected) < 1e-5
    assert calls == [(path, {"map_location": "cpu", "weights_only": True})]


def test_file_of_torch_without_torch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "resnet.pth").write_bytes(b"as torch wrote it")
    with pytest.raises(InputError, match=r"pip install torch\), or convert the file .*save_file"):
        ku.from_preset(tmp_path / "resnet.pth")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            pickle.UnpicklingError("Weights only load failed.\nUnsupported global: GLOBAL x.Net"),
            "Found Python objects, such as a whole model",
        ),
        (RuntimeError("PytorchStreamReader failed reading zip archive\nmore"), "Is it complete"),
        (EOFError("Ran out of input"), "EOFError: Ran out of input"),
        (RuntimeError("Cannot use weights_only=True with TorchScript archives"), "a TorchScript"),
    ],
    ids=["model", "truncated", "empty", "script"],
)
def test_file_of_torch_that_cannot_be_read_is_rejected(error, message, tmp_path, monkeypatch):
    def load(path, **options):
        raise error

    monkeypatch.setitem(sys.modules, "torch", make_torch(load))
    (tmp_path / "resnet.pth").write_bytes(b"x")
    with pytest.raises(InputError, match=message) as raised:
        ku.from_preset(tmp_path / "resnet.pth")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, "text"], ids=str)
def test_pickle_that_is_no_state_dict_is_rejected(value, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", make_torch(lambda path, **options: value))
    (tmp_path / "x.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"Expected a state dict in .*x\.pt"):
        ku.from_preset(tmp_path / "x.pt")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize("legacy", [False, True])
def test_files_that_torch_itself_wrote(legacy, state, images, expected, tmp_path):
    import torch

    tensors = {f"module.{n}": torch.from_numpy(v.copy()) for n, v in state.items()}
    path = tmp_path / "resnet.th"
    torch.save(
        {"state_dict": tensors, "best_prec1": 91.2},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    assert difference(ku.from_preset(path), images, expected) < 1e-5
    whole = path.read_bytes()
    for content in (b"", b"no pickle", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="Is it complete"):
            ku.from_preset(path)
    torch.save(torch.nn.Linear(2, 3), path)
    with pytest.raises(InputError, match="Found Python objects"):
        ku.from_preset(path)
    path.write_bytes(pickle.dumps(Tensor(np.zeros(3))))
    with pytest.raises(InputError, match=r"Found Python objects|cannot be read"):
        ku.from_preset(path)


@pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors", "there/gone.h5"])
def test_missing_file_is_reported_as_such(name, tmp_path):
    with pytest.raises(InputError, match="Found no such file or folder"):
        ku.from_preset(tmp_path / name)


def test_folder_with_files_of_weights_names_them(file):
    with pytest.raises(InputError, match=r"but resnet\.safetensors\. Pass the path of the file"):
        ku.from_preset(file.parent)


def test_file_with_another_ending_is_rejected(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"in a file that ends in \.safetensors.*model\.onnx"):
        ku.from_preset(tmp_path / "model.onnx")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_keras_file_of_another_network_is_named_by_its_layers(tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="first"), keras.layers.Flatten()],
        name="mine",
    )
    for name in ("net.h5", "net.keras", "net.weights.h5"):
        if name == "net.weights.h5":
            model.save_weights(tmp_path / name)
        else:
            model.save(tmp_path / name)
        with pytest.raises(InputError, match=r"a network with the layers .*(conv2d|first)"):
            ku.from_preset(tmp_path / name)
    whole = (tmp_path / "net.h5").read_bytes()
    (tmp_path / "net.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="a model that Keras can load"):
        ku.from_preset(tmp_path / "net.h5")


def test_weights_of_a_preset_are_loaded_with_its_folder(tmp_path):
    small = ku.models.resnet(8, dataset="cifar")
    small.backbone.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(InputError, match=r"weights without a head.*pass its folder"):
        ku.from_preset(tmp_path / "model.weights.h5")
    small.save(tmp_path / "small.keras")
    with pytest.raises(InputError, match=r"keras\.saving\.load_model gives it as it is"):
        ku.from_preset(tmp_path / "small.keras")
    small.save_task_weights(tmp_path / "task.weights.h5")
    with pytest.raises(InputError, match="a network with the layers dense"):
        ku.from_preset(tmp_path / "task.weights.h5")
    with h5py.File(tmp_path / "data.h5", "w") as other:
        other["x"] = np.zeros(3)
    with pytest.raises(InputError, match="a network with the layers x"):
        ku.from_preset(tmp_path / "data.h5")
