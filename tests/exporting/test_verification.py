"""Nothing appears unless the exported file computes what the original does."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli
from keras_unrolled.exporting import request, run, runtime, verification
from keras_unrolled.exporting.images import read_sample
from tests.conftest import first_fast
from tests.exporting.conftest import need
from tests.exporting.nets import make_model, predict, read_images


@pytest.fixture(scope="module")
def small():
    return make_model("plain")


@pytest.fixture(scope="module")
def right(small):
    """What the small network answers to the images of the check."""
    return predict(small, read_sample(small, (32, 32)))


@pytest.fixture
def converter(monkeypatch):
    """A converter that writes a word, and a runtime that gives what the test puts in here."""
    answers = {}

    def write(network, path, facts, precision, images):
        if path.suffix:
            path.write_bytes(b"\x1c\0\0\0TFL3 new")
        else:
            path.mkdir()
            (path / "saved_model.pb").write_bytes(b"new")
        answers.update(facts=facts, images=images)

    monkeypatch.setattr(run, "WRITERS", dict.fromkeys(run.WRITERS, write))
    monkeypatch.setattr(request, "PACKAGES", dict.fromkeys(request.PACKAGES, ()))
    monkeypatch.setattr(
        verification, "run_file", lambda path, format, images: answers["run"](images)
    )
    return answers


def test_runtime_needs_nothing_but_numpy_and_the_runtime_of_the_format():
    tree = ast.parse(Path(runtime.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported == {"sys", "numpy", "onnxruntime", "ai_edge_litert", "tensorflow"}


def test_comparison_counts_differences_and_equal_answers():
    expected = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])
    received = np.array([[0.7, 0.3], [0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    found = verification.compare(expected, received)
    assert found == {"difference": pytest.approx(0.2), "agreement": 0.75, "n": 4}


@pytest.mark.parametrize(
    ("precision", "result", "message"),
    [
        ("float32", {"difference": 2e-3}, "within 0.001 .* differ by up to 0.002"),
        ("float32", {"difference": float("nan")}, "differ by up to nan"),
        ("float16", {"difference": 0.03}, "within 0.02 .* Use float32"),
        ("int8", {"agreement": 0.89}, "for 90% of the images .* Found 89.0% of 50"),
    ],
)
def test_too_large_a_difference_is_an_error(precision, result, message):
    best = {"difference": 0.0, "agreement": 1.0, "n": 50}
    verification.check(best, precision)
    with pytest.raises(InputError, match=message):
        verification.check({**best, **result}, precision)


@pytest.mark.parametrize("name", ["net.tflite", "a/net.tflite", "a/net"])
def test_failure_leaves_nothing(name, small, right, converter, tmp_path):
    converter["run"] = lambda images: 1 - right
    with pytest.raises(InputError, match="Nothing was written"):
        ku.export(small, tmp_path / name)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", first_fast("net.tflite", "net"))
def test_failure_leaves_what_was_there(name, small, right, converter, tmp_path):
    converter["run"] = lambda images: right
    result = ku.export(small, tmp_path / "a" / name)
    place = Path(result["out"])
    content = place if place.suffix else place / "saved_model.pb"
    content.write_bytes(content.read_bytes()[:8] + b"old")
    converter["run"] = lambda images: 1 - right
    with pytest.raises(InputError, match="Nothing was written"):
        ku.export(small, place, overwrite=True)
    assert content.read_bytes().endswith(b"old")
    converter["run"] = lambda images: right
    with pytest.raises(InputError, match="--overwrite"):
        ku.export(small, place)
    ku.export(small, place, overwrite=True)
    assert content.read_bytes().endswith(b"new")
    assert [path.name for path in (tmp_path / "a").iterdir()] == [name]


def test_result_describes_the_file(small, right, converter, tmp_path):
    converter["run"] = lambda images: right + np.array([1e-4, 0])
    result = ku.export(small, tmp_path / "net.tflite")
    assert result == {
        "preset": "classifier",
        "format": "litert",
        "precision": "float32",
        "out": str(tmp_path / "net.tflite"),
        "bytes": 12,
        "image_size": [32, 32],
        "labels": 2,
        "difference": pytest.approx(1e-4, abs=1e-6),
        "agreement": pytest.approx(1, abs=0.05),
        "n": 64,
    }
    assert converter["facts"]["labels"] == ["dark", "light"]


def test_int8_is_scored_on_images_that_it_was_not_calibrated_with(small, converter, tmp_path):
    images, light = read_images(20)
    scored = []

    def answer(given):
        scored.append(given)
        return np.eye(2)[light[1::2]]

    converter["run"] = answer
    options = {"precision": "int8", "calibration": (images, light)}
    with pytest.raises(InputError, match="Calibrate with more images"):
        ku.export(small, tmp_path / "net.tflite", **options)
    np.testing.assert_array_equal(converter["images"], images[::2])
    np.testing.assert_array_equal(scored[0], images[1::2])
    converter["run"] = lambda given: predict(small, given)
    result = ku.export(small, tmp_path / "net.tflite", **options)
    right = float(np.mean(predict(small, images[1::2]).argmax(-1) == light[1::2]))
    assert result["accuracies"] == {"float32": right, "int8": right}
    assert (result["n"], result["agreement"]) == (10, 1.0)
    result = ku.export(small, tmp_path / "b.tflite", precision="int8", calibration=images)
    assert "accuracies" not in result


def test_command_prints_what_was_written(small, right, converter, tmp_path, capsys):
    ku.save_preset(small, tmp_path / "small")
    converter["run"] = lambda images: right
    arguments = ["export", str(tmp_path / "small"), "--out", str(tmp_path / "net")]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert (
        f"{tmp_path / 'small'}: saved_model, float32, 3 bytes, images of any size, 2 labels" in out
    )
    assert "original's answer to 100.0% of 64 images" in out
    assert out.endswith(f"written to {tmp_path / 'net'}\n")
    assert converter["facts"] == {
        "preset": "small",
        "license": "Apache-2.0",
        "keras_unrolled": ku.__version__,
        "labels": ["dark", "light"],
    }
    assert cli.main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_options_of_the_command_are_those_of_the_function(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    text, examples = capsys.readouterr().out.split("examples:")
    assert max(map(len, text.splitlines())) <= 80
    assert "keras-unrolled export" in examples
    names = {"image_size": "size", "preset_or_model": "preset"}
    for name in inspect.signature(ku.export).parameters:
        assert names.get(name, name).replace("_", "-") in text


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_file_that_its_runtime_does_not_load_is_an_error(format, tmp_path):
    need(format)
    (tmp_path / "net").write_bytes(b"\x1c\0\0\0TFL3 and nothing else")
    with pytest.raises(InputError, match=f"runtime of {format} to run .* Nothing was written"):
        verification.run_file(tmp_path / "net", format, read_images(1)[0])
