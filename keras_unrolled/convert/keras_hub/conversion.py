"""From a classifier of KerasHub to one of this package."""

from pathlib import Path
from typing import Any

import keras
import keras_hub

from keras_unrolled import checks, models
from keras_unrolled.convert.keras_hub.folder import load
from keras_unrolled.convert.keras_hub.network import build
from keras_unrolled.convert.values import check_model
from keras_unrolled.models.copying import copy_values, variables_of


def from_keras_hub(
    source: str | Path | keras.Model, *, dtype: Any = None
) -> models.ImageClassifier:
    """A classifier from a `keras_hub.models.ResNetImageClassifier`, with the same scores.

    Both activation orders are converted (`resnet_50_imagenet` and `resnet_v2_50_imagenet` among
    them), with basic and bottleneck blocks. ResNet-vd is not: its stem has three
    convolutions and its shortcuts average.

    Args:
        source: such a model, or the folder that its `save_to_preset` wrote.
        dtype: optional dtype policy, such as "mixed_bfloat16".

    Returns:
        An `ImageClassifier` of the gating "residual" with the pooling, activation and
        dropout of the source. Its preprocessor has the size, scale and offset of the source's and
        crops where that does; what it resizes is rounded to whole numbers. A network of 1,000
        classes is taken to know ImageNet-1k.

    Raises:
        InputError: for another network, a backbone without a head, and for files that are missing,
            damaged or of another network.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.convert.from_keras_hub("resnet_50_imagenet/")  # doctest: +SKIP
    """
    if isinstance(source, keras.Model):
        if not isinstance(source, keras_hub.models.ResNetImageClassifier):
            raise checks.InputError(
                "Expected a keras_hub.models.ResNetImageClassifier. Received a "
                f"{type(source).__name__}. Only KerasHub's ResNets can be converted."
            )
        theirs, where = source, "the model"
        if any(layer.quantization_mode for layer in source._flatten_layers()):
            raise checks.InputError(
                "Expected a model in floating point. Received a quantized one. Convert it before."
            )
        model = build(theirs.get_config(), theirs.backbone.get_config(), where, dtype)
    else:
        folder = checks.expand(source)
        where = str(folder)
        model, theirs = load(folder, dtype)
    _copy(theirs.backbone, model.backbone)
    copy_values(theirs.output_dense.weights, model.output_dense.weights)
    check_model(model, where)
    return model


def _copy(theirs, ours):
    def copy(name, conv=None, norm=None):
        if conv is not None:
            copy_values([theirs.get_layer(f"{name}_conv").kernel], [conv.kernel])
        if norm is not None:
            source = theirs.get_layer(f"{name}_bn")
            copy_values(variables_of(source), variables_of(norm))

    stem = ours.get_layer("stem")
    copy("conv1", stem.conv, stem.norm)
    for s, stage in enumerate(ours.stages):
        for b, block in enumerate(stage):
            at = f"stack{s}_block{b}"
            if block.preactivation is not None:
                copy(f"{at}_pre_activation", norm=block.preactivation)
            for stack, first in ((block.projection, 0), (block.transform, 1)):
                if stack is not None:
                    for i, conv in enumerate(stack.convs):
                        norm = stack.norms[i] if i < len(stack.norms) else None
                        copy(f"{at}_{first + i}", conv, norm)
    if ours.options["activation_order"] == "pre":
        copy("post", norm=ours.get_layer("head_norm"))
