"""Folding: a copy for prediction, whose normalization is part of its convolutions.

A batch normalization in inference is `y * a + b` for each channel, and so are its convolution's
kernel times a and a bias b. Gates that do not depend on their input, as those of a regated network
which has not been trained, are numbers: t goes into H, and c scales what is carried, by which all
later kernels are multiplied instead. Such a network is the Residual one that it came from.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.convert.scaling import copy_layer, scale, scale_output
from keras_unrolled.layers.mixing import GATINGS
from keras_unrolled.models.weight_hash import hash_weights

LEAST_CARRY = 1e-6  # of the product of constant gates that a later kernel is multiplied by


def fold(model: Any) -> Any:
    """A copy of a classifier for prediction, which computes the same and is faster.

    Each batch normalization becomes part of the convolution before it. In pre-activation the one that
    begins a block, and the last one of the network, have none and stay. If all free gates are
    constant, the copy is a Residual network. Train the original, not the copy.

    Args:
        model: an `ImageClassifier` of any gating, with or without batch normalization.

    Returns:
        A new, compiled `ImageClassifier` with the model's head, labels and preprocessor. Its scores
        differ by rounding, in float32 by less than 1e-4 of the largest.

    Raises:
        InputError: if the model is no image classifier, or has group normalization, which depends on
            each image.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.resnet(8, dataset="cifar")
        >>> folded = ku.convert.fold(model)
        >>> folded.backbone.normalization
        'folded'
    """
    if getattr(model, "task", None) != "image-classification":
        raise checks.InputError(
            f"Expected an image classifier to fold. Received a {type(model).__name__}. Language models "
            "have no batch normalization: use them as they are."
        )
    if model.backbone.normalization == "group":
        raise checks.InputError(
            "Expected batch normalization, which is the same for every image. Received a network with "
            "group normalization (first in stem/norm), which is not. Use it as it is."
        )
    new = _fold_normalization(_remove_constant_gates(model))
    _inherit(model, new)
    return new


def _fold_normalization(model):
    config = model.get_config()
    if model.backbone.normalization == "batch":
        config["backbone"]["config"]["normalization"] = "folded"
    new = type(model).from_config(config)
    old_stem, new_stem = (m.backbone.get_layer("stem") for m in (model, new))
    _fold_into(old_stem.conv, old_stem.norm, new_stem.conv)
    pairs = zip(_blocks(model), _blocks(new), strict=True)
    for old, block in pairs:
        if block.preactivation is not None:
            copy_layer(old.preactivation, block.preactivation)
        for source, target in zip(old.stacks(), block.stacks(), strict=True):
            norms = [*source.norms, *[None] * (len(source.convs) - len(source.norms))]
            for each in zip(source.convs, norms, target.convs, strict=True):
                _fold_into(*each)
    for norm in (layer for layer in new.backbone.layers if layer.name == "head_norm"):
        copy_layer(model.backbone.get_layer("head_norm"), norm)
    copy_layer(model.output_dense, new.output_dense)
    return new


def _fold_into(conv, norm, target):
    """Gives a convolution what another and the normalization after it compute."""
    copy_kernel = keras.ops.convert_to_numpy(conv.kernel.value).astype("float64")
    shift = 0.0 if conv.bias is None else _array(conv.bias)
    if norm is not None:
        factor = _array(norm.gamma) / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
        copy_kernel = copy_kernel * factor
        shift = _array(norm.beta) + (shift - _array(norm.moving_mean)) * factor
    target.kernel.assign(copy_kernel)
    if target.bias is not None:
        target.bias.assign(np.broadcast_to(shift, target.bias.shape))


def _remove_constant_gates(model):
    """The Residual network that a network of constant gates is, else the model itself."""
    rule = GATINGS[model.backbone.gating]
    blocks = _blocks(model)
    if not rule.free or not all(gate.is_constant() for b in blocks for gate in b.gates()):
        return model
    config = model.get_config()
    config["backbone"]["config"]["gating"] = "residual"
    new = type(model).from_config(config)
    copy_layer(model.backbone.get_layer("stem"), new.backbone.get_layer("stem"))
    # A block receives s times what it does in the Residual network, channel by channel.
    s = np.ones(model.backbone.stem_filters)
    for old, block in zip(blocks, _blocks(new), strict=True):
        transform, carry = _constants(old, rule)
        copy_layer(old.transform, block.transform)
        readers = [block.transform]
        if block.projection is not None:
            copy_layer(old.projection, block.projection)
            readers.append(block.projection)
        if block.preactivation is not None:
            copy_layer(old.preactivation, block.preactivation)
            _read_scaled(block.preactivation, s)
        else:
            for stack in readers:
                scale(stack.convs[0].kernel, s[:, None])
        if block.projection is not None:
            s = np.ones(block.output_filters)
            scale_output(block.projection, carry)
        else:
            s = carry * np.pad(s, (0, block.output_filters - len(s)), constant_values=1.0)
        if min(s.min(), carry.min()) < LEAST_CARRY:
            return model
        scale_output(block.transform, transform / s)
    norms = [layer for layer in new.backbone.layers if layer.name == "head_norm"]
    copy_layer(model.output_dense, new.output_dense)
    if norms:
        copy_layer(model.backbone.get_layer("head_norm"), norms[0])
        _read_scaled(norms[0], s)
    else:
        scale(new.output_dense.kernel, s[:, None])
    return new


def _constants(block, rule):
    """T and C of a block whose gates are constant, float64 `(channels,)`."""

    def value(gate):
        layer = gate.output_layer
        bias = layer.beta if hasattr(layer, "beta") else layer.bias
        return 1 / (1 + np.exp(-_array(bias)))

    one = np.ones(block.output_filters)
    transform = value(block.transform_gate) if rule.transform == "free" else one
    carry = {"free": lambda: value(block.carry_gate), "coupled": lambda: one - transform}
    return transform, carry.get(rule.carry, lambda: one)()


def _read_scaled(norm, s):
    """Changes a normalization so that its output for x is the one it had for `s * x`."""
    scale(norm.moving_mean, 1 / s)
    scale(norm.gamma, s)


def _inherit(model, new):
    """Gives the copy what is known of the weights' source, whose scores are the source's."""
    provenance = getattr(model, "provenance", None)
    if provenance is not None and hash_weights(model) == provenance.digest:
        provenance = dataclasses.replace(provenance, is_copy=False, digest=hash_weights(new))
    if provenance is not None:
        new.provenance = provenance


def _blocks(model):
    return [block for stage in model.backbone.stages for block in stage]


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype("float64")
