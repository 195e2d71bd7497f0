"""Limits of the gates' biases within which regating keeps the function."""

import math

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.layers.mixing import GATINGS

# Of T, whose inverse scales H, and of the scale s of activations, whose inverse scales kernels: both
# stay far from the limits of the compute dtype, also for large weights. In float16 they do so less.
SMALLEST, SMALLEST_IN_FLOAT16 = 1e-25, 1e-3
# Of C = 1 - T, which is computed in float32: a block's output is off by about ROUNDING / C of it,
# and what follows adds its own.
SMALLEST_COUPLED, ROUNDING = 1e-3, 2.0**-24
# Of what rounding a scaled variance adds to a normalization's output: on the average, and the
# relative error of the variance of any channel.
MOST_OFF, MOST_OFF_IN_A_CHANNEL = 1e-3, 0.1


def check_biases(model, gating, transform_bias, carry_bias):
    """Raises `InputError` for biases of gates with which regating cannot keep the function.

    Within the limits the scores of the new network differ from those of the model by less than
    1e-3 of the largest, in float32.

    Args:
        model: an `ImageClassifier` of the gating "residual".
        gating: "full", "coupled", "c_only" or "t_only".
        transform_bias: float, of a free T.
        carry_bias: float, of a free C.
    """
    transform_bias = checks.real("transform_bias", transform_bias, least=-100, most=100)
    carry_bias = checks.real("carry_bias", carry_bias, least=-100, most=100)
    rule = GATINGS[gating]
    is_half = model.backbone.compute_dtype == "float16"
    smallest_t = SMALLEST_IN_FLOAT16 if is_half else SMALLEST
    smallest_c = _find_smallest_carry(model.backbone, smallest_t)
    if rule.transform == "free":
        most = 100.0
        if rule.carry == "coupled":  # C = sigmoid(-bias)
            blocks = sum(map(len, model.backbone.stages))
            smallest_c = max(smallest_c, SMALLEST_COUPLED, 2 * blocks * ROUNDING / MOST_OFF)
            most = -_bias_of(smallest_c)
        _check("transform_bias", transform_bias, _bias_of(smallest_t), most, gating)
    if rule.carry == "free":
        _check("carry_bias", carry_bias, _bias_of(smallest_c), 100.0, gating)


def _find_smallest_carry(backbone, smallest):
    """The least C with which no scale of activations is below `smallest`, nor a variance lost."""
    carry, carried = smallest, 0  # blocks since the scale was 1
    norms = []
    for block in (block for stage in backbone.stages for block in stage):
        norms.append((block.preactivation, carried))
        carried = 0 if block.projection is not None else carried + 1
        if carried:
            carry = max(carry, smallest ** (1 / carried))
    norms += [(layer, carried) for layer in backbone.layers if layer.name == "head_norm"]
    for norm, carried in norms:
        if carried and isinstance(norm, keras.layers.BatchNormalization):
            carry = max(carry, _find_smallest_square(norm) ** (1 / (2 * carried)))
    return carry


def _find_smallest_square(norm):
    """The least s**2 for a batch normalization that reads s times what it did.

    Its new variance is `s**2 * (variance + epsilon) - epsilon`, rounded, and it adds epsilon again.
    """
    variance = keras.ops.convert_to_numpy(norm.moving_variance.value).astype("float64")
    variance = np.maximum(variance, 0)
    rounding = np.finfo(keras.backend.standardize_dtype(norm.moving_variance.dtype)).eps / 2
    error = rounding * norm.epsilon / np.maximum(variance + norm.epsilon, 1e-30)
    # What a channel gives is as large as its variance lets it be.
    share = np.sqrt(variance / np.maximum(variance + norm.epsilon, 1e-30))
    return max((error * share).mean() / MOST_OFF, error.max() / MOST_OFF_IN_A_CHANNEL)


def _bias_of(gate):
    """The bias of a gate that is open by so much, rounded to a number that is easily written."""
    return math.ceil(100 * math.log(gate / (1 - gate))) / 100


def _check(argument, bias, least, most, gating):
    if not least <= bias <= most:
        raise checks.InputError(
            f"Expected `{argument}` from {least:g} to {most:g}, with which this network can become "
            f"one of the gating {gating!r} and keep its function: its gates would be closed so far that "
            f"the weights that make up for it overflow or lose their digits. Received: "
            f"{argument}={bias!r}. Choose a number in that range."
        )
