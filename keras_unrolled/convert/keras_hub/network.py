"""This package's network with random weights for the configuration of one of KerasHub's."""

import keras
import keras_hub
import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.convert.timm.layout import EPSILON
from keras_unrolled.layers.block import BLOCK_TYPES
from keras_unrolled.models.limits import at_most
from keras_unrolled.models.policies import get_policy

# Our types of block by theirs.
TYPES = {"basic_block": "basic", "bottleneck_block": "bottleneck"}


def build(config, network, where, dtype, sizes=(None, None)):
    """Our network with random weights for the configurations of their classifier and backbone.

    It has no more weights in the backbone and the head than `sizes`, in bytes of their files.
    """
    stem = (list(network["input_conv_filters"]), list(network["input_conv_kernel_sizes"]))
    if network["block_type"] not in TYPES or len(stem[0]) != 1 or stem[1] != [7]:
        raise checks.InputError(
            f"Expected basic or bottleneck blocks and a stem of one 7x7 convolution in {where}. "
            f"Found block_type={network['block_type']!r} and input_conv_kernel_sizes={stem[1]}"
            f"{', a ResNet-vd' if str(network['block_type']).endswith('_vd') else ''}. Only "
            "ResNet and ResNetV2 can be converted."
        )
    image_shape = tuple(network.get("image_shape") or (None, None, 3))
    with at_most(sizes[0]):
        backbone = models.ImageBackbone(
            stackwise_num_filters=network["stackwise_num_filters"],
            stackwise_num_blocks=network["stackwise_num_blocks"],
            stackwise_num_strides=network["stackwise_num_strides"],
            block_type=TYPES[network["block_type"]],
            activation_order="pre" if network.get("use_pre_activation") else "post",
            stem_filters=stem[0][0],
            image_shape=image_shape,
            epsilon=EPSILON,
            dtype=get_policy(dtype),
        )
    _check_shortcuts(backbone, where)
    classes = config["num_classes"]
    if sizes[1] is not None and classes * backbone.output.shape[-1] > sizes[1]:
        raise checks.InputError(
            f"Expected weights for {classes!r} classes in {where}. The file of the head is too "
            "small for them. Restore the folder."
        )
    activation = keras.activations.serialize(keras.activations.get(config.get("activation")))
    return models.ImageClassifier(
        backbone,
        classes,
        labels=models.imagenet_labels() if classes == 1000 else None,
        pooling=config.get("pooling", "avg"),
        activation=None if activation == "linear" else activation,
        dropout=config.get("dropout", 0.0),
        preprocessor=_make_preprocessor(config.get("preprocessor"), image_shape, where),
    )


def _check_shortcuts(backbone, where):
    """Raises `InputError` where their network projects and ours does not, or the reverse."""
    strides, block_type = backbone.stackwise_num_strides, backbone.options["block_type"]
    outs = [width * BLOCK_TYPES[block_type][1] for width in backbone.stackwise_num_filters]
    for s, (stride, before, after) in enumerate(zip(strides, [backbone.stem_filters, *outs], outs)):
        # Theirs always project but for the first stage of basic blocks; ours where shapes change.
        if (block_type == "bottleneck" or s > 0) != (stride != 1 or before != after):
            raise checks.InputError(
                f"Expected shortcuts in {where} that project where a stage changes the shape. "
                f"Those of stage {s} (stride {stride}, {before} to {after} channels) do "
                "otherwise. This network cannot be converted."
            )


def _make_preprocessor(theirs, image_shape, where):
    """Our preprocessor for the serialized one of theirs, or None if they have none."""
    converter = ((theirs or {}).get("config") or {}).get("image_converter")
    if converter is None:
        return None
    options = {k: v for k, v in converter["config"].items() if k not in ("name", "trainable")}
    options.pop("dtype", None)
    source = keras_hub.layers.ImageConverter(**{**options, "data_format": "channels_last"})
    if source.pad_to_aspect_ratio:
        raise checks.InputError(
            f"Expected a preprocessor that crops or squeezes images in {where}. Found one that "
            "pads them (pad_to_aspect_ratio), which this package's does not. Convert a model with "
            "preprocessor=None and pad the images before."
        )
    height, width, channels = image_shape
    size = source.image_size or ((height, width) if height and width else None)
    scale, offset = (
        np.broadcast_to(usual if value is None else value, channels).astype(float).tolist()
        for value, usual in ((source.scale, 1.0), (source.offset, 0.0))
    )
    ours = models.ImageConverter(
        image_size=size,
        scale=scale,
        offset=offset,
        interpolation=source.interpolation,
        antialias=source.antialias,
        crop_to_aspect_ratio=source.crop_to_aspect_ratio,
        dtype="float32",
        name="image_converter",
    )
    return models.ImageClassifierPreprocessor(ours, name="preprocessor")
