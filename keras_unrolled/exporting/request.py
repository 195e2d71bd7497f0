"""What is exported where, checked before Keras or a converter is loaded."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unrolled import checks, files
from keras_unrolled.presets.catalog import all_presets

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "saved_model": ""}
PRECISIONS = ("float32", "float16", "int8")
PACKAGES = {
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "litert": ("ai_edge_litert",),
    "saved_model": (),  # TensorFlow's own
}
MOST_PIXELS = 16_384  # of a side


@dataclass(frozen=True)
class Request:
    """An export that can be attempted.

    Args:
        out: path of the file or folder to make, without links in it.
        format: "onnx", "litert" or "saved_model".
        precision: "float32", "float16" or "int8".
        calibration: images for int8, else None.
        image_size: optional `(height, width)`.
        data_dir: optional, TFDS's data directory.
    """

    out: Path
    format: str
    precision: str
    calibration: Any
    image_size: tuple[int, int] | None
    data_dir: Any


def check_request(
    out: Any,
    *,
    format: str | None = None,
    precision: str = "float32",
    calibration: Any = None,
    image_size: Any = None,
    data_dir: Any = None,
    overwrite: bool = False,
) -> Request:
    """The arguments of `export` as a `Request`.

    Raises:
        InputError: for an impossible value or combination, a package that is not installed, and a
            target that cannot be written or must not be replaced.
    """
    path = _check_path(out)
    format = _find_format(path, format)
    checks.one_of("precision", precision, PRECISIONS)
    _check_options(format, precision, calibration, data_dir, image_size)
    if image_size is not None:
        image_size = _check_size(image_size)
    check_packages(format)
    _check_target(path, format, overwrite=checks.flag("overwrite", overwrite))
    return Request(path, format, precision, calibration, image_size, data_dir)


def check_packages(format: str) -> None:
    """Raises `InputError` unless a format's converter and runtime are installed."""
    missing = [name for name in PACKAGES[format] if importlib.util.find_spec(name) is None]
    if missing:
        raise checks.InputError(
            f"Expected the packages that export to {format}: {', '.join(PACKAGES[format])}. Not "
            f'installed: {", ".join(missing)}. Run pip install "keras-unrolled[export]".'
        )


def _check_path(out):
    if not isinstance(out, (str, Path)):
        raise checks.InputError(
            f"Expected the path of a file or folder to make. Received: {out!r:.80}. Pass a string or a "
            "Path."
        )
    path = checks.expand(checks.local(out))
    # Also of a file in the way only the folder around it must be writable.
    files.check_writable(path.parent if os.path.isfile(path) else path)
    path = path.resolve()
    if not path.name or path.is_mount():
        raise checks.InputError(
            f"Expected a new file or folder. {path} is the root of a disk. Choose a path in it."
        )
    return path


def _find_format(path, format):
    """The format that was given, or that of a path's suffix."""
    suffix = path.suffix.lower()
    of_suffix = {ending: name for name, ending in SUFFIXES.items()}
    if format is None:
        if suffix not in of_suffix:
            raise checks.InputError(
                "Expected a name that ends in .onnx (ONNX) or .tflite (LiteRT), or a folder's without "
                f"a suffix (SavedModel). Received: {path.name}. Rename it, or pass the format."
            )
        return of_suffix[suffix]
    checks.one_of("format", format, SUFFIXES)
    fits = suffix == SUFFIXES[format] or (
        format == "saved_model" and suffix not in SUFFIXES.values()
    )
    if not fits:
        wanted = f"ends in {SUFFIXES[format]}" if SUFFIXES[format] else "is that of a folder"
        raise checks.InputError(
            f"Expected a name that {wanted}, for the format {format!r}. Received: {path.name}. Rename "
            "it, or choose the other format."
        )
    return format


def _check_options(format, precision, calibration, data_dir, image_size):
    """Raises `InputError` for combinations that are impossible or have no effect."""
    if format == "saved_model" and precision != "float32":
        raise checks.InputError(
            f"Expected float32 for a SavedModel. Received: precision={precision!r}. Leave it out, or "
            "export to ONNX or LiteRT."
        )
    if format == "saved_model" and image_size is not None:
        raise checks.InputError(
            "Expected no image size for a SavedModel, which takes images of any size. Received: "
            f"image_size={image_size!r}. Leave it out."
        )
    if precision == "int8" and calibration is None:
        raise checks.InputError(
            "Expected images to calibrate int8 with, of the kind that the network will see. Received "
            'none. Pass --calibration (in Python: calibration=...): "sample" for CIFAR-10, a folder of '
            "class folders, a CSV file or a data set of TFDS."
        )
    if precision != "int8" and calibration is not None:
        raise checks.InputError(
            f"Expected images for calibration with int8 only. Received some for {precision}. Leave them "
            "out, or pass --precision int8 (in Python: precision='int8')."
        )
    is_named = isinstance(calibration, (str, Path)) and str(calibration) != "sample"
    if data_dir is not None and not is_named:
        raise checks.InputError(
            "Expected a data directory for a data set of TFDS to calibrate with. Received: "
            f"data_dir={str(data_dir)!r} for {calibration!r:.80}. Leave it out."
        )


def _check_size(image_size):
    if not isinstance(image_size, (list, tuple)) or len(image_size) != 2:
        raise checks.InputError(
            f"Expected an image size (height, width). Received: {image_size!r:.80}. Pass two whole "
            "numbers."
        )
    height, width = (checks.whole("image_size", s, least=1, most=MOST_PIXELS) for s in image_size)
    return height, width


def _check_target(path, format, *, overwrite):
    what = "folder" if format == "saved_model" else "file"
    if what == "folder" and path.name in all_presets():
        raise checks.InputError(
            f"Expected a folder of another name than a preset's, by which {path.name} would not be "
            f"found again. Choose another, such as my_{path.name}."
        )
    if not os.path.lexists(path) or (
        what == "folder" and path.is_dir() and not any(path.iterdir())
    ):
        return
    if not _is_exported(path, format):
        raise checks.InputError(
            f"Expected a new {what} for the exported network. Found something else at {path}, which is "
            "not replaced. Choose another name."
        )
    if not overwrite:
        raise checks.InputError(
            f"Expected a new {what} for the exported network. Found one at {path}. Choose another name, "
            "or pass --overwrite (in Python: overwrite=True)."
        )


def _is_exported(path, format):
    """Whether a path is that of a network in a format."""
    if format == "saved_model":
        return (path / "saved_model.pb").is_file()
    if not path.is_file():
        return False
    if format == "litert":
        with open(path, "rb") as file:
            return file.read(8)[4:] == b"TFL3"
    import onnx

    try:
        return bool(onnx.load_model(path, load_external_data=False).graph.node)
    except Exception:  # whatever bytes that are no such message lead the parser to
        return False
