"""Options of a loaded network that leave the shapes of its weights as they are."""

import inspect
from typing import Any

from keras_unrolled import checks, models
from keras_unrolled.layers.mixing import GATINGS
from keras_unrolled.models.copying import copy_values

# Options that a loaded network may be given; the first do not change its scores.
NEUTRAL = ("layer_dropout_unit", "momentum")
OPTIONS = (
    *NEUTRAL,
    "epsilon",
    "image_shape",
    "layer_dropout",
    "mix_relu",
    "stackwise_num_strides",
    "stride_conv",
    "transform_relu",
)
# Initial values of gates, which `regate` sets.
BIASES = ("transform_bias", "carry_bias")


def check_options(options: dict[str, Any], arguments: inspect.Signature) -> None:
    """Raises `InputError` for what is no option of a loaded network, by its name.

    Args:
        options: dict of what `from_preset` was given in addition to its own arguments.
        arguments: the signature of `from_preset`.
    """
    own = [name for name, p in arguments.parameters.items() if p.kind is not p.VAR_KEYWORD]
    backbone = inspect.signature(models.ImageBackbone.__init__).parameters
    shaping = {n for n, p in backbone.items() if p.kind is p.KEYWORD_ONLY} - {*OPTIONS, *BIASES}
    checks.check_names(options, {*own, *OPTIONS, *BIASES, *shaping}, "from_preset")
    for name in options:
        if name in shaping:
            raise checks.InputError(
                f"Expected options that keep the shapes of the weights: {', '.join(OPTIONS)}. "
                f"Received: {name}={options[name]!r}, which does not. Build such a network with "
                "random weights, with keras_unrolled.models."
            )


def check_biases(biases: dict[str, Any], gating: str) -> None:
    """Raises `InputError` for the bias of a gate that a gating has not, or not free.

    Args:
        biases: dict of some of `BIASES`.
        gating: string, what the weights are converted to.
    """
    rule = GATINGS.get(gating)
    for name in biases:
        if rule is not None and name.removesuffix("_bias") not in rule.free:
            raise checks.InputError(
                f"Expected only biases that have an effect with the gating {gating!r}, whose free gates "
                f"are: {', '.join(rule.free) or 'none'}. Received: {name}={biases[name]!r}. Leave it out."
            )


def apply_options(model: models.ImageClassifier, options: dict[str, Any]) -> models.ImageClassifier:
    """A classifier with other options of its backbone, and the same weights.

    With a height and width in `image_shape` the preprocessor makes images of that size.

    Args:
        model: an `ImageClassifier`.
        options: dict of some of `OPTIONS`.

    Raises:
        InputError: if a value is out of range, or would change the shape of a weight.
    """
    config = model.get_config()
    config["backbone"]["config"] |= options
    new = type(model).from_config(config)
    if [w.shape for w in new.weights] != [w.shape for w in model.weights]:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise checks.InputError(
            f"Expected options that keep the shapes of the weights. Received: {given}, with which "
            "they change. Keep the number of channels, and a stride of 1 where the first block of a "
            "stage does not project."
        )
    copy_values(model.weights, new.weights)
    converter = getattr(new.preprocessor, "image_converter", None)
    if "image_shape" in options and converter is not None and converter.image_size:
        sizes = zip(new.backbone.image_shape, converter.image_size)
        converter.image_size = tuple(given or usual for given, usual in sizes)
    return new
