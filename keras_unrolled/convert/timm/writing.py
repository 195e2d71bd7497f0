"""From a classifier to a checkpoint that timm loads."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks, files
from keras_unrolled.convert.timm.layout import (
    ARCHITECTURES,
    CONFIG,
    EPSILON,
    WEIGHTS,
    network_variables,
)


def to_timm(model: Any, folder: str | Path) -> str:
    """Writes a classifier as a checkpoint that timm loads strictly.

    Args:
        model: an `ImageClassifier` of one of `ARCHITECTURES`, with any number of classes.
        folder: path of the folder to make; it appears whole or not at all.

    Returns:
        timm's name of the network.

    Raises:
        InputError: for a network that timm has not, a Highway net among them, and for a
            folder that exists.

    Example:
        >>> import tempfile
        >>> import keras_unrolled as ku
        >>> model = ku.models.resnet(18, num_classes=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     name = ku.convert.to_timm(model, f"{folder}/net")
        ...     again = ku.convert.from_timm(f"{folder}/net")
        >>> name, again.count_params() == model.count_params()
        ('resnet18', True)
    """
    from safetensors.numpy import save_file

    name = _architecture(model)
    folder = checks.expand(folder)
    if folder.exists():
        raise checks.InputError(
            f"Expected a new folder for the checkpoint. Found something at {folder}. "
            "Choose another place."
        )
    tensors = {}
    for key, variable in network_variables(model):
        values = keras.ops.convert_to_numpy(variable.value).astype("float32")
        if key.endswith(".running_mean"):
            tensors[key.replace("running_mean", "num_batches_tracked")] = np.array(0, "int64")
        if values.ndim == 4:
            values = values.transpose(3, 2, 0, 1)
        elif values.ndim == 2:
            values = values.T
        if key == "head.fc.weight":
            values = values[:, :, None, None]
        tensors[key] = np.ascontiguousarray(values)
    converter = model.preprocessor.image_converter
    std = [1 / (255 * scale) for scale in converter.scale]
    config = {
        "architecture": name,
        "num_classes": model.num_classes,
        "num_features": int(model.backbone.output.shape[-1]),
        "global_pool": "avg",
        "pretrained_cfg": {
            "input_size": [3, *converter.image_size],
            "interpolation": converter.interpolation,
            "crop_pct": converter.crop_fraction,
            "crop_mode": "center" if converter.crop_to_aspect_ratio else "squash",
            "mean": [round(-o * s, 9) for o, s in zip(converter.offset, std)],
            "std": [round(s, 9) for s in std],
            "num_classes": model.num_classes,
            "first_conv": "stem.conv" if name.startswith("resnetv2") else "conv1",
            "classifier": "head.fc" if name.startswith("resnetv2") else "fc",
        },
    }
    if model.labels:
        config["label_names"] = list(model.labels)
    with files.written_aside(folder) as aside:
        save_file(tensors, aside / WEIGHTS, metadata={"format": "pt"})
        (aside / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return name


def _architecture(model):
    """timm's name of a network; raises `InputError` with the difference if it has none."""
    backbone = model.backbone
    options = backbone.options
    converter = getattr(model.preprocessor, "image_converter", None)
    expected = {
        "gating": (backbone.gating, "residual"),
        "stem": (backbone.stem, "imagenet"),
        "stem_filters": (backbone.stem_filters, 64),
        "stackwise_num_filters": (list(backbone.stackwise_num_filters), [64, 128, 256, 512]),
        "stackwise_num_strides": (list(backbone.stackwise_num_strides), [1, 2, 2, 2]),
        "width_multiplier": (backbone.width_multiplier, 1),
        "normalization": (options["normalization"], "batch"),
        "epsilon": (options["epsilon"], EPSILON),
        "shortcut": (options["shortcut"], "projection"),
        "stride_conv": (options["stride_conv"], 2),
        "transform_relu": (options["transform_relu"], False),
        "mix_relu": (options["mix_relu"], options["activation_order"] == "post"),
        "pooling": (model.pooling, "avg"),
        "activation": (model.activation, None),
        "channels": (backbone.image_shape[-1], 3),
        "preprocessor": (getattr(converter, "image_size", None) is not None, True),
    }
    if options["block_type"] == "basic":
        expected.pop("stride_conv")
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise checks.InputError(
                f"Expected a network that timm has, with {what} {wanted!r}. Received one with "
                f"{found!r}. Only a plain ResNet ({', '.join(ARCHITECTURES)}) can be exported."
            )
    blocks = tuple(backbone.stackwise_num_blocks)
    for name, key in ARCHITECTURES.items():
        if key == (options["block_type"], blocks, options["activation_order"]):
            return name
    raise checks.InputError(
        f"Expected the blocks of one of {', '.join(ARCHITECTURES)}. Received "
        f"{options['block_type']} blocks {blocks}, {options['activation_order']}-activation. "
        "timm has no such network."
    )
