"""Files of models that Keras saved, checked before Keras builds what they configure."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py

from keras_unrolled import files
from keras_unrolled.models.weight_files import list_arrays

# The layers of a residual net of keras.applications, and what fine-tuning may add.
LAYERS = {
    "Activation",
    "Add",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "Dropout",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "InputLayer",
    "MaxPooling2D",
    "ZeroPadding2D",
}
MOST_LAYERS = 1_000  # ResNet152 has about 500
_CONVOLUTION = re.compile(r"conv([2-5])_block\d+_([0-3])_conv")


def read(path: Path) -> tuple[dict[str, Any] | None, list[list[int]]]:
    """The configuration of a model, None in a file of weights only, and the shapes of its arrays.

    Raises:
        Exception: of whatever kind, if the file cannot be read, or declares more than it holds.
    """
    if path.suffix == ".h5":
        shapes = _list_shapes(path)
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
        return (None if text is None else _parse(text)), shapes
    with zipfile.ZipFile(path) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        # Keras does not compress; whoever did it cannot have saved much.
        total, most = sum(sizes.values()), 4 * path.stat().st_size
        if total > most or sizes["config.json"] > files.MOST_JSON:
            raise ValueError(f"it unpacks to {total:,} bytes")
        config = _parse(archive.read("config.json"))
        with archive.open("model.weights.h5") as weights:
            return config, _list_shapes(weights)


def _list_shapes(source):
    return [array.shape for array in list_arrays(source).values()]


def _parse(text):
    config = json.loads(text)
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError("it has no configuration of a model")
    return config


def list_layers(config: dict[str, Any]) -> set[str]:
    """The names of the layers in a configuration."""
    layers = config["config"].get("layers", [])
    return {str(layer["config"]["name"]) for layer in layers}


def check_network(config: dict[str, Any], shapes: list[list[int]]) -> None:
    """Raises `ValueError` for a network that is no residual net of keras.applications.

    Args:
        config: the configuration of a model with the names of such a net's layers.
        shapes: the shapes of the arrays in its file.
    """
    layers = config["config"]["layers"]
    if config.get("class_name") not in ("Functional", "Model") or len(layers) > MOST_LAYERS:
        raise ValueError(f"a {config.get('class_name')} of {len(layers):,} layers")
    for layer in layers:
        options, kind = layer["config"], layer["class_name"]
        if kind not in LAYERS:
            raise ValueError(f"a layer of the class {str(kind)[:100]!r}")
        if kind == "InputLayer":
            shape = options.get("batch_shape") or options["batch_input_shape"]
            fits = len(shape) == 4 and shape[-1] == 3
        elif kind == "Conv2D":
            fits = _find_size(options["name"]) == (options["filters"], options["kernel_size"])
        else:
            fits = kind != "Dense" or [2048, options["units"]] in shapes
        if not fits:
            raise ValueError(f"{str(options['name'])[:100]!r} has another shape than in such a net")
    _check_objects(config)


def _find_size(name):
    """The filters and the kernel's size of a convolution by its name, or None."""
    if name == "conv1_conv":
        return 64, [7, 7]
    if not (match := _CONVOLUTION.fullmatch(name)):
        return None
    stage, place = int(match[1]), int(match[2])
    side = 3 if place == 2 else 1
    return 64 * 2 ** (stage - 2) * (4 if place in (0, 3) else 1), [side, side]


def _check_objects(value):
    """Rejects whatever Keras would make of other modules than its own."""
    if isinstance(value, dict):
        module, name = value.get("module"), value.get("registered_name")
        is_own = module is None or re.fullmatch(r"keras(\.\w+)*", str(module))
        if not is_own or ">" in str(name) or value.get("class_name") in ("Lambda", "function"):
            raise ValueError(f"a {str(name or value.get('class_name'))[:100]} of {module!r}")
    for entry in value.values() if isinstance(value, dict) else value:
        if isinstance(entry, dict | list):
            _check_objects(entry)
