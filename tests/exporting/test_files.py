"""Exported files, opened by their own runtimes as another program would."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import data
from keras_unrolled.exporting import litert_file, network, onnx_file
from tests.conftest import ROOT
from tests.exporting.conftest import need
from tests.exporting.nets import LABELS, make_model, predict, read_images

pytestmark = pytest.mark.slow


def open_onnx(path):
    """A function from images to probabilities."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def open_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(images):
        interpreter.resize_tensor_input(given["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def open_saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda images: loaded.serve(images)["probabilities"].numpy()


OPEN = {"onnx": open_onnx, "litert": open_litert, "saved_model": open_saved_model}


@pytest.mark.parametrize("format", OPEN)
def test_runtime_gives_the_probabilities_of_predict(format, exported, model):
    path, result = exported(format)
    images, _ = read_images(5)
    run, expected = OPEN[format](path), predict(model, images)
    np.testing.assert_allclose(run(images), expected, atol=1e-5)
    np.testing.assert_allclose(run(images[:1]), expected[:1], atol=1e-5)
    # An image's answer does not depend on those around it.
    order = [3, 0, 4, 2, 1]
    np.testing.assert_allclose(run(images[order]), expected[order], atol=1e-5)
    assert result["difference"] < 1e-5
    assert (result["agreement"], result["n"], result["labels"]) == (1, 64, 2)


def test_onnx_file_names_its_input_output_and_labels(exported):
    path, result = exported("onnx")
    import onnx

    model = onnx.load_model(path)
    onnx.checker.check_model(model, full_check=True)
    (given,), (output,) = model.graph.input, model.graph.output
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (given, output)
    ]
    assert (given.name, output.name) == ("images", "probabilities")
    assert shapes == [["batch", 32, 32, 3], ["batch", 2]]
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts.pop("labels")) == LABELS
    assert facts == {
        "preset": "classifier",
        "license": "unknown",
        "keras_unrolled": ku.__version__,
    }
    assert result["bytes"] == path.stat().st_size


def check_files(read):
    """Compares the files that two formats have with what the model says."""
    assert read("labels.txt").splitlines() == LABELS
    facts = json.loads(read("metadata.json"))
    assert facts["labels"] == LABELS
    assert (facts["preset"], facts["keras_unrolled"]) == ("classifier", ku.__version__)


def test_litert_file_is_an_archive_of_its_labels_as_well(exported):
    path, _ = exported("litert")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        check_files(lambda name: archive.read(name).decode())
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["images"], "outputs": ["probabilities"]}
    (given,) = interpreter.get_input_details()
    assert given["dtype"] == np.uint8
    assert given["shape_signature"].tolist() == [-1, 32, 32, 3]


def test_saved_model_takes_images_of_any_size(exported, model, rng):
    path, result = exported("saved_model")
    run = open_saved_model(path)
    for size in ((20, 64), (50, 31), (200, 300)):
        images = rng.integers(0, 256, (2, *size, 3)).astype("uint8")
        np.testing.assert_allclose(run(images), predict(model, images), atol=1e-5)
    assert result["image_size"] is None
    weights = 4 * ku.convert.fold(model).count_params()
    (stored,) = path.glob("variables/*.data*")
    assert weights <= stored.stat().st_size < 1.1 * weights + 1_000  # each once
    assert result["bytes"] > weights
    check_files(lambda name: (path / "assets.extra" / name).read_text())


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_float16_halves_the_weights_and_hardly_changes_probabilities(format, exported, model):
    path, result = exported(format, "float16")
    weights = sum(int(np.prod(v.shape)) for v in ku.convert.fold(model).trainable_variables)
    saved = exported(format)[1]["bytes"] - result["bytes"]
    assert saved > 1.2 * weights  # of 2 bytes each; some nodes are added
    images, _ = read_images(100)
    difference = np.abs(OPEN[format](path)(images) - predict(model, images)).max()
    assert 1e-6 < difference < 0.01


def test_litert_int8_is_smaller_and_nearly_as_accurate(exported, model):
    path, result = exported("litert", "int8")
    assert result["bytes"] < 0.7 * exported("litert")[1]["bytes"]
    images, light = read_images(300)
    found = OPEN["litert"](path)(images).argmax(-1)
    assert np.mean(found == light) > np.mean(predict(model, images).argmax(-1) == light) - 0.05
    assert result["agreement"] >= 0.9
    assert result["n"] == 80
    assert set(result["accuracies"]) == {"float32", "int8"}


def test_onnx_int8_of_a_trained_preset_is_as_accurate_within_points(tmp_path):
    need("onnx")
    path = tmp_path / "net.onnx"
    options = {"precision": "int8", "calibration": "sample"}
    result = ku.export("resnet_bn_cifar10", path, **options)
    assert result["bytes"] < 2 * 273_000  # a residual network's weights have four bytes each
    sample = data.load_sample().part("sample", 500)  # the others calibrated or were scored
    accuracy = np.mean(open_onnx(path)(sample.images).argmax(-1) == sample.labels)
    model = ku.from_preset("resnet_bn_cifar10")
    assert accuracy > np.mean(predict(model, sample.images).argmax(-1) == sample.labels) - 0.03
    assert accuracy > 0.88
    assert (result["n"], result["preset"]) == (250, "resnet_bn_cifar10")
    assert abs(result["accuracies"]["int8"] - result["accuracies"]["float32"]) < 0.03
    import onnx

    quantized = onnx.load_model(path)
    operations = [node.op_type for node in quantized.graph.node]
    assert operations.count("DequantizeLinear") > 2 * operations.count("Conv")
    scales = {i.name: i.dims for i in quantized.graph.initializer}
    assert any(list(dims) == [64] for name, dims in scales.items() if name.endswith("_scale"))


def test_padding_of_the_pooling_leaves_the_values_of_int8_to_the_network(tmp_path):
    need("litert")
    model = make_model("imagenet_stem", fit=True)
    built = network.build(network.as_float32(model), (32, 32))
    images, _ = read_images(100)
    litert_file.write(built, tmp_path / "net.tflite", {"preset": "net"}, "int8", images[:50])
    found = open_litert(tmp_path / "net.tflite")(images)
    assert np.mean(found.argmax(-1) == predict(model, images).argmax(-1)) >= 0.9


@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [("group", 3, (32, 32)), ("plain", 1, (32, 32)), ("plain", 16, (40, 51))],
)
def test_other_networks_are_exported_as_well(name, channels, size, tmp_path):
    need("onnx")
    model = make_model(name, channels=channels, labels=None)
    built = network.build(network.as_float32(model), size)
    onnx_file.write(built, tmp_path / "net.onnx", {"preset": "net"})
    images, _ = read_images(3, channels)
    images = np.pad(images, [(0, 0), (0, size[0] - 32), (0, size[1] - 32), (0, 0)])
    found = open_onnx(tmp_path / "net.onnx")(images)
    np.testing.assert_allclose(found, predict(model, images), atol=1e-4)


def test_resized_images_are_exported_to_litert(tmp_path):
    need("litert")
    model = make_model("plain")
    built = network.build(network.as_float32(model), (40, 51))
    litert_file.write(built, tmp_path / "net.tflite", {"preset": "net"})
    images, _ = read_images(3)
    images = np.pad(images, [(0, 0), (0, 8), (0, 19), (0, 0)])
    found = open_litert(tmp_path / "net.tflite")(images)
    np.testing.assert_allclose(found, predict(model, images), atol=1e-4)
    with zipfile.ZipFile(tmp_path / "net.tflite") as archive:
        assert archive.namelist() == ["metadata.json"]  # it has no labels


@pytest.mark.parametrize(
    ("program", "format"),
    [
        ("onnx_runtime.py", "onnx"),
        ("litert_runtime.py", "litert"),
        ("saved_model.py", "saved_model"),
    ],
)
def test_example_names_a_picture(program, format, exported, model, tmp_path):
    path, _ = exported(format)
    image = read_images(3)[0][2]
    Image.fromarray(image).save(tmp_path / "picture.png")
    command = [sys.executable, str(ROOT / "examples" / program), str(path)]
    done = subprocess.run([*command, str(tmp_path / "picture.png")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (probabilities,) = predict(model, image[None])
    best = probabilities.argmax()
    assert done.stdout == f"{LABELS[best]}: {probabilities[best]:.1%}\n"
    assert len((ROOT / "examples" / program).read_text().splitlines()) <= 22


def test_converters_write_nothing_that_the_user_sees(tmp_path):
    need("onnx")
    need("litert")
    ku.save_preset(make_model("plain"), tmp_path / "small")
    command = [sys.executable, "-m", "keras_unrolled", "export", str(tmp_path / "small")]
    for name in ("net.onnx", "net.tflite"):
        done = subprocess.run(
            [*command, "--json", "--out", str(tmp_path / name)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["bytes"] == (tmp_path / name).stat().st_size
