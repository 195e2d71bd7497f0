"""Bad input is rejected with one message, before anything is loaded or written."""

import sys

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli
from keras_unrolled.exporting import request
from keras_unrolled.exporting.request import PACKAGES, check_request
from tests.exporting.conftest import need

IMAGES = np.zeros((4, 8, 8, 3), "uint8")
REJECTED = {
    "unknown format": ("x.onnx", {"format": "onxx"}, "Did you mean 'onnx'"),
    "unknown precision": ("x.onnx", {"precision": "float8"}, "Did you mean .*'float16'"),
    "unknown suffix": ("x.keras", {}, r"ends in .onnx .*Received: x.keras"),
    "suffix of another format": ("x.onnx", {"format": "litert"}, r"ends in .tflite"),
    "folder of a file": ("x", {"format": "onnx"}, r"ends in .onnx"),
    "file of a folder": ("x.tflite", {"format": "saved_model"}, "that of a folder"),
    "int8 without images": ("x.onnx", {"precision": "int8"}, "Pass --calibration"),
    "images without int8": ("x.onnx", {"calibration": "sample"}, "with int8 only"),
    "data directory without images": ("x.onnx", {"data_dir": "d"}, "of TFDS to calibrate"),
    "data directory of the sample": (
        "x.onnx",
        {"precision": "int8", "calibration": "sample", "data_dir": "d"},
        "for 'sample'",
    ),
    "data directory of an array": (
        "x.onnx",
        {"precision": "int8", "calibration": IMAGES, "data_dir": "d"},
        "data_dir='d'",
    ),
    "narrow folder": ("x", {"precision": "float16"}, "float32 for a SavedModel"),
    "size of a folder": ("x", {"image_size": (64, 64)}, "images of any size"),
    "size of nothing": ("x.onnx", {"image_size": (0, 64)}, "Received: image_size=0"),
    "one size": ("x.onnx", {"image_size": 64}, "Pass two whole numbers"),
    "no name": ("", {}, "which is empty"),
    "no path": (3, {}, "Received: 3"),
    "address": ("hf://me/x.onnx", {}, "Received an address"),
    "below a file": (f"{__file__}/x.onnx", {}, "is a file"),
    "overwrite as a word": ("x.onnx", {"overwrite": "yes"}, "True or False"),
    "name of a preset": ("highway_bn_cifar10", {}, "another name than a preset's"),
}


@pytest.fixture(autouse=True)
def work_elsewhere(tmp_path, monkeypatch):
    """Runs a test in a new folder, with every package that a format needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(request, "PACKAGES", dict.fromkeys(request.PACKAGES, ()))


@pytest.mark.parametrize("case", REJECTED)
def test_bad_input_is_rejected_before_anything_is_loaded(case, tmp_path, monkeypatch):
    from keras_unrolled.exporting import run

    monkeypatch.setattr(run, "from_preset", None)
    out, arguments, message = REJECTED[case]
    with pytest.raises(InputError, match=message) as error:
        ku.export("highway_bn_cifar10", out, **arguments)
    assert str(error.value).startswith("Expected")
    assert not any(tmp_path.iterdir())


COMMANDS = {
    "unknown format": (["--out", "x.onnx", "--format", "onxx"], "Did you mean 'onnx'"),
    "int8 without images": (["--out", "x.onnx", "--precision", "int8"], "--calibration"),
    "impossible size": (["--out", "x.onnx", "--size", "0", "9"], "image_size=0"),
    "empty name": (["--out", ""], "--out"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_command_reports_bad_input_before_it_imports_keras(case, capsys, monkeypatch):
    from keras_unrolled.cli import exporting

    monkeypatch.setattr(exporting, "import_keras", None)
    arguments, message = COMMANDS[case]
    assert cli.main(["export", "highway_bn_cifar10", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_language_model_is_rejected_by_its_record(capsys, monkeypatch):
    from keras_unrolled.cli import exporting

    monkeypatch.setattr(exporting, "import_keras", None)
    assert cli.main(["export", "highway_small_ptb", "--out", "x.onnx"]) == 2
    assert "keras-unrolled generate and keras-unrolled evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "format"),
    [
        ("x.onnx", "onnx"),
        ("x.ONNX", "onnx"),
        ("a/b/x.tflite", "litert"),
        ("x", "saved_model"),
    ],
)
def test_format_follows_from_the_suffix(out, format, tmp_path):
    checked = check_request(out)
    assert (checked.format, checked.out) == (format, (tmp_path / out).resolve())


def test_folder_with_any_other_suffix_may_be_a_saved_model():
    assert check_request("flowers.v1", format="saved_model").format == "saved_model"


@pytest.mark.parametrize(
    ("out", "packages"), [("x.onnx", "tf2onnx"), ("x.tflite", "ai_edge_litert")]
)
def test_missing_package_is_named_with_the_extra(out, packages, monkeypatch):
    monkeypatch.setattr(request, "PACKAGES", PACKAGES)
    monkeypatch.setitem(sys.modules, packages, None)
    with pytest.raises(InputError, match=rf"installed: .*{packages}.*keras-unrolled\[export\]"):
        check_request(out)


def test_other_backend_is_rejected_before_a_preset_is_loaded(tmp_path, monkeypatch):
    import keras

    from keras_unrolled.exporting import run

    monkeypatch.setattr(run, "from_preset", None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Set KERAS_BACKEND=tensorflow"):
        ku.export("highway_bn_cifar10", tmp_path / "x.onnx")


@pytest.mark.parametrize("name", ["x.onnx", "x.tflite", "x"])
def test_what_is_no_exported_network_is_never_replaced(name, tmp_path):
    if name == "x.onnx":
        need("onnx")
    place = tmp_path / name
    if name == "x":
        place.mkdir()
        place = place / "letter.txt"
    place.write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"something else at .* which is not replaced"):
            check_request(tmp_path / name, overwrite=overwrite)
    assert place.read_text() == "mine"
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(InputError, match="something else"):
        check_request(tmp_path / "folder.tflite", overwrite=True)


def test_exported_network_is_replaced_on_request_only(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"\x1c\0\0\0TFL3 and so on")
    (tmp_path / "x").mkdir()
    check_request(tmp_path / "x")  # an empty folder is none
    (tmp_path / "x" / "saved_model.pb").write_bytes(b"")
    for name in ("x.tflite", "x"):
        with pytest.raises(InputError, match="pass --overwrite"):
            check_request(tmp_path / name)
        assert check_request(tmp_path / name, overwrite=True)


def test_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (tmp_path / "link.tflite").symlink_to("real.tflite")
    checked = check_request(tmp_path / "link.tflite", overwrite=True)
    assert checked.out == (tmp_path / "real.tflite").resolve()
