"""Regating: another gating with the same function.

A Residual network becomes a Highway network with the same function, to be trained further
(the idea of Net2Net, Chen et al. 2016). Gates start as constants t and c. Suppose that a
block receives s times what it received in the original. Then

- what reads the block's input is divided by s, so that H is as before;
- the mix must be a multiple s' of the original one, `t * H' + c * (s * x) = s' * (H + x)`:
  s' = c * s, and H's last affine layer is multiplied by s' / t;
- a ReLU commutes with s' > 0;
- a projection takes s in and 1 / c on, so that s is 1 again after a transition block;
- what reads the last block's output divides the last s out.
"""

import itertools
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.convert.gate_limits import check_biases
from keras_unrolled.convert.scaling import copy_layer, scale, scale_output
from keras_unrolled.layers.mixing import GATINGS


def regate(
    model: Any,
    gating: str = "coupled",
    *,
    transform_bias: float = -1.0,
    carry_bias: float = 1.0,
) -> Any:
    """A classifier of another gating that computes what a Residual one does.

    The free gates are open by a constant, `sigmoid(bias)`, whatever the input; their last
    layers have weights of zero and everything before these is random, so that training
    moves them. With batch normalization after the gate's last convolution it is that layer's
    scale that is zero: leave it trainable, as `finetune` does, or the gates stay as they are.

    Args:
        model: an `ImageClassifier` of the gating "residual".
        gating: "full", "coupled", "c_only" or "t_only".
        transform_bias: float, of a free T; -1 as in the paper, section 5.1.
        carry_bias: float, of a free C; 1, mostly open.

    Returns:
        A new, compiled `ImageClassifier` with the model's head, labels and preprocessor.

    Raises:
        InputError: if the model is not Residual or the gating cannot be reached, or if a free gate
            would be closed so far that the function could not be kept: the scores of the new
            network differ by less than 1e-3 of the largest.

    Example:
        >>> import keras_unrolled as ku
        >>> residual = ku.from_preset("resnet_nobn_cifar10")
        >>> gated = ku.convert.regate(residual, "coupled")
        >>> images = ku.data.load_sample().images[:4]
        >>> bool(abs(gated.predict(images, verbose=0) - residual.predict(images, verbose=0)).max() < 1e-3)
        True
    """
    rule = GATINGS[checks.one_of("gating", gating, ("full", "coupled", "c_only", "t_only"))]
    if model.backbone.gating != "residual":
        raise checks.InputError(
            "Expected a model of the gating 'residual'. Received one of the gating "
            f"{model.backbone.gating!r}. Start from a Residual net."
        )
    check_biases(model, gating, transform_bias, carry_bias)
    config = model.get_config()
    config["backbone"]["config"] |= {
        "gating": gating,
        "transform_bias": transform_bias,
        "carry_bias": carry_bias,
    }
    new = type(model).from_config(config)
    t = _sigmoid(transform_bias) if rule.transform == "free" else 1.0
    c = {"one": 1.0, "free": _sigmoid(carry_bias), "coupled": 1.0 - t}[rule.carry]
    copy_layer(model.backbone.get_layer("stem"), new.backbone.get_layer("stem"))
    s, seeds = 1.0, itertools.count()
    for old_stage, new_stage in zip(model.backbone.stages, new.backbone.stages, strict=True):
        for old, block in zip(old_stage, new_stage, strict=True):
            copy_layer(old.transform, block.transform)
            readers = [block.transform]
            if block.projection is not None:
                copy_layer(old.projection, block.projection)
                readers.append(block.projection)
            for gate in (block.transform_gate, block.carry_gate):
                if gate is not None:
                    _close_on_its_bias(gate, seeds)
                    readers.append(gate)
            if block.preactivation is not None:
                copy_layer(old.preactivation, block.preactivation)
                _read_scaled(block.preactivation, s)
            else:
                for stack in readers:
                    scale(stack.convs[0].kernel, 1 / s)
            if block.projection is not None:
                s = 1.0
                scale_output(block.projection, 1 / c)
            else:
                s *= c
            scale_output(block.transform, s / t)
    norms = [layer for layer in new.backbone.layers if layer.name == "head_norm"]
    if norms:
        copy_layer(model.backbone.get_layer("head_norm"), norms[0])
        _read_scaled(norms[0], s)
    copy_layer(model.output_dense, new.output_dense)
    if not norms:
        scale(new.output_dense.kernel, 1 / s)
    return new


def _sigmoid(x):
    return 1 / (1 + np.exp(-float(x)))


def _close_on_its_bias(gate, seeds):
    """Gives a gate initial weights, the same at every conversion, and a last layer of its bias."""
    for conv in gate.convs:
        initializer = keras.initializers.HeNormal(seed=next(seeds))
        conv.kernel.assign(initializer(conv.kernel.shape))
    last = gate.output_layer
    weight = last.kernel if hasattr(last, "kernel") else last.gamma
    scale(weight, 0.0)


def _read_scaled(norm, s):
    """Changes a normalization so that its output for `s * x` is the one it had for x."""
    if not isinstance(norm, keras.layers.BatchNormalization):
        raise checks.InputError(
            "Expected batch normalization before the activation, whose statistics can be "
            f"scaled. Received a {type(norm).__name__}. Use a post-activated network."
        )
    variance = keras.ops.convert_to_numpy(norm.moving_variance.value).astype("float64")
    scale(norm.moving_mean, s)
    norm.moving_variance.assign(s**2 * (variance + norm.epsilon) - norm.epsilon)
