"""From a preset to a file for another program, checked before it appears."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras

from keras_unrolled import checks, evaluation, files
from keras_unrolled.exporting import (
    images,
    litert_file,
    metadata,
    network,
    onnx_file,
    saved_model,
    verification,
)
from keras_unrolled.exporting.request import SUFFIXES, Request, check_request
from keras_unrolled.presets.loading import from_preset

WRITERS = {
    "onnx": onnx_file.write,
    "litert": litert_file.write,
    "saved_model": saved_model.write,
}


def export(
    preset_or_model: Any,
    out: str | Path,
    *,
    format: str | None = None,
    precision: str = "float32",
    calibration: Any = None,
    image_size: tuple[int, int] | None = None,
    data_dir: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes a classifier for onnxruntime, LiteRT or TensorFlow, with its preprocessing inside.

    The exported network reads "images", uint8 `(batch, height, width, channels)` on a scale of 0 to
    255, and gives "probabilities", float32 `(batch, num_classes)`. Its normalization is folded
    (`convert.fold`). Labels, the preset's name and its license are in the file. Before anything
    appears at `out`, the file is run by its own runtime in a new process and compared with the model.

    Args:
        preset_or_model: a name, folder or address of a preset, or an `ImageClassifier`.
        out: path of the file or folder to make.
        format: "onnx", "litert" or "saved_model"; by default what the name of `out` ends in decides:
            .onnx, .tflite, or nothing for the folder of a SavedModel.
        precision: "float32"; "float16", about half the size; or "int8", about a third, which needs
            `calibration`. A SavedModel has float32.
        calibration: images for int8, of the kind that the network will see: "sample" (bundled, for
            networks of CIFAR-10), the path of a folder of class folders or of a CSV file, a name of
            TFDS, an array `(n, height, width, channels)`, or a pair of an array and class numbers. At
            most 500 are used, half of them to score the result.
        image_size: `(height, width)` of the images that ONNX and LiteRT take; by default the size to
            which the preprocessor resizes before it cuts out the center. A SavedModel takes any size.
        data_dir: TFDS's data directory.
        overwrite: bool, whether an exported network at `out` may be replaced.

    Returns:
        A dict: "preset", "format", "precision", "out", "bytes", "image_size" (None for any), "labels"
        (how many), "difference" (the largest of a probability from the model's), "agreement" (the
        share of images with the same most likely class) and "n" (the images of this comparison). With
        int8 they are the half of the calibration images that is scored, and "accuracies" has the
        accuracies on them in float32 and int8, where their classes are the network's; "notes" has what
        there is to know of how they were read, if anything.

    Raises:
        InputError: for impossible arguments, another backend than TensorFlow, a package that is not
            installed (`pip install "keras-unrolled[export]"`), a language model, a target that exists,
            and a result that differs too much from the model: by 1e-3 in float32, by 0.02 in float16,
            or in the answer to more than 10% of the images in int8.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.export("highway_bn_cifar10", "highway.onnx")["out"]  # doctest: +SKIP
    """
    request = check_request(
        out,
        format=format,
        precision=precision,
        calibration=calibration,
        image_size=image_size,
        data_dir=data_dir,
        overwrite=overwrite,
    )
    _check_backend()
    is_model = hasattr(preset_or_model, "backbone") or isinstance(preset_or_model, keras.Model)
    model = preset_or_model if is_model else from_preset(preset_or_model)
    network.check_model(model)
    name = metadata.find_name(model) if is_model else str(preset_or_model)
    with tempfile.TemporaryDirectory(prefix="keras_unrolled-") as folder:
        try:
            figures = _export(model, request, Path(folder))
        except OSError as error:
            raise checks.InputError(
                f"Expected to write the exported network. It failed: {error}. Is there room on the "
                "disk, and may it be written?"
            ) from error
    return {
        "preset": name,
        "format": request.format,
        "precision": request.precision,
        "out": str(out),
        "bytes": _count_bytes(request.out),
        **figures,
    }


def _export(model, request: Request, folder: Path) -> dict[str, Any]:
    """Writes the file into a folder, runs it there and copies it to its place."""
    is_file = request.format != "saved_model"
    size = network.find_size(model, request.image_size, fixed=is_file)
    exact = network.as_float32(model)
    for place in (folder, request.out.parent):  # twice: float32 and what is made of it
        files.check_room(place, 2**20 + 10 * exact.count_params())
    facts = metadata.describe(model)
    if request.precision == "int8":
        assert size is not None  # a SavedModel has float32
        calibration = images.read_calibration(request.calibration, model, size, request.data_dir)
        inputs, checked = calibration.images, calibration.held
    else:
        inputs, checked = None, images.read_sample(model, size)
    made = folder / f"network{SUFFIXES[request.format]}"
    WRITERS[request.format](network.build(exact, size), made, facts, request.precision, inputs)
    # What is narrower than float32 differs from it by more than the exported network.
    original = model if model.backbone.dtype_policy.compute_dtype == "float32" else exact
    expected = network.predict(original, checked)
    received = verification.run_file(made, request.format, checked)
    figures: dict[str, Any] = verification.compare(expected, received)
    verification.check(figures, request.precision)
    if request.precision == "int8":
        figures |= _score(calibration, expected, received)
    _place(made, request.out)
    return {
        "image_size": None if size is None else list(size),
        "labels": len(facts.get("labels", ())),
        **figures,
    }


def _score(calibration, expected, received):
    """The entries of the result that int8 has: accuracies and notes, where there are any."""
    found: dict[str, Any] = {}
    if calibration.labels is not None:
        found["accuracies"] = {
            "float32": evaluation.accuracy(expected, calibration.labels),
            "int8": evaluation.accuracy(received, calibration.labels),
        }
    if calibration.notes:
        found["notes"] = list(calibration.notes)
    return found


def _check_backend():
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise checks.InputError(
            f"Expected Keras's backend to be tensorflow, whose converters are used. Received: "
            f"{backend!r}. Set KERAS_BACKEND=tensorflow; a preset is the same with every backend."
        )


def _place(made, out):
    """Copies a finished file or folder to its place, where it appears whole."""
    if made.is_dir():
        with files.written_aside(out) as aside:
            shutil.copytree(made, aside, dirs_exist_ok=True)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replaced(out) as aside:
        shutil.copyfile(made, aside)


def _count_bytes(path):
    parts = path.rglob("*") if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts if part.is_file())
