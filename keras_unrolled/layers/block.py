"""The block, written once: basic or bottleneck, every gating, with or without normalization."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_unrolled import checks
from keras_unrolled.layers.fused_mix import fused_mix, is_faster
from keras_unrolled.layers.layer_dropout import make_layer_dropout
from keras_unrolled.layers.mixing import (
    GATINGS,
    check_lesion,
    effective_gates,
    gate_activation,
    mix,
)
from keras_unrolled.layers.normalization import NORMALIZATIONS, make_normalization, unfolded
from keras_unrolled.layers.stack import Stack

# Kernel sizes of H, and how many times wider than `filters` its last convolution is.
BLOCK_TYPES = {"basic": ((3, 3), 1), "bottleneck": ((1, 3, 1), 4)}
MOST_FILTERS = 65_536


@keras.saving.register_keras_serializable(package="keras_unrolled")
class Block(keras.layers.Layer):
    """One block: `y = H(x) * T(x) + x * C(x)`, followed by a ReLU where `mix_relu`.

    The blocks of a stage refine an estimate of the same features (Greff et al. 2017):
    H is a new estimate, x the old one, and the gating decides how the two are mixed::

        H: conv-norm-relu-conv-norm              (basic)
           conv-norm-relu-conv-norm-relu-conv-norm   (bottleneck)
        T, C: such a stack of their own, then a sigmoid

    In a transition block, which changes the shape, x is the projected (or padded) input.
    In pre-activation (He et al. 2016) H, the gates and a projection all read
    `relu(norm(x))`, the one pre-activation of the block.

    Args:
        filters: int, filters of the block's first convolution; a bottleneck outputs four
            times as many channels.
        strides: int, 1 or more; of the whole block.
        block_type: "basic" (3x3, 3x3) or "bottleneck" (1x1, 3x3, 1x1).
        gating: "plain", "residual", "full", "coupled", "c_only" or "t_only".
        gate_type: "stack", a gate as deep as H (Greff et al. 2017, section 5.1), or
            "pointwise", one 1x1 convolution (He et al. 2016).
        transform_bias: float, initial bias of a free T: -1 in the image study (section 5.1).
        carry_bias: float, initial bias of a free C: 1, that is mostly open (ours; the
            paper gives none).
        normalization: "batch", "group", None (convolutions with biases instead) or "folded" (as
            `convert.fold` makes it, where only pre-activation keeps a batch normalization).
        activation_order: "post" (He et al. 2015) or "pre" (He et al. 2016).
        transform_relu: bool, whether H ends in one more ReLU (the paper's "Highway-Full").
        mix_relu: bool or None, whether a ReLU follows the mix; None means that it does in
            post-activation (He et al. 2015) and does not in pre-activation (He et al. 2016).
        shortcut: "projection" (1x1 convolution and norm) or "pad" (He's option A: every
            `strides`-th pixel, zeros for new channels); only a transition block has one.
        stride_conv: 1 or 2, which convolution of a bottleneck strides: the 3x3 (2, as
            torchvision) or the first 1x1 (1, He et al. 2015 and keras.applications).
        layer_dropout: float in [0, 1), probability of leaving the block out in training.
        layer_dropout_unit: "batch" or "sample", see `LayerDropout`.
        momentum, epsilon: floats, of the normalization (0.9 and 1e-5, as torchvision's).

    Call arguments:
        x: float tensor of shape `(batch, height, width, channels)`.
        training: bool, mode of normalization and layer dropout.

    Output: `(batch, height / strides, width / strides, output_filters)`, sizes rounded up,
    in the compute dtype.

    Raises:
        InputError: for a value outside the ones listed; on build, for a padding shortcut
            that would have to remove channels.

    Example:
        >>> tuple(Block(16, gating="coupled")(keras.ops.ones((1, 8, 8, 3))).shape)
        (1, 8, 8, 16)
    """

    def __init__(
        self,
        filters,
        *,
        strides=1,
        block_type="basic",
        gating="residual",
        gate_type="stack",
        transform_bias=-1.0,
        carry_bias=1.0,
        normalization="batch",
        activation_order="post",
        transform_relu=False,
        mix_relu=None,
        shortcut="projection",
        stride_conv=2,
        layer_dropout=0.0,
        layer_dropout_unit="batch",
        momentum=0.9,
        epsilon=1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = checks.whole("filters", filters, least=1, most=MOST_FILTERS)
        self.strides = checks.whole("strides", strides, least=1, most=16)
        self.block_type = checks.one_of("block_type", block_type, BLOCK_TYPES)
        self.gating = checks.one_of("gating", gating, GATINGS)
        self.gate_type = checks.one_of("gate_type", gate_type, ("stack", "pointwise"))
        self.transform_bias = checks.real("transform_bias", transform_bias, least=-100, most=100)
        self.carry_bias = checks.real("carry_bias", carry_bias, least=-100, most=100)
        if normalization is not None:
            checks.one_of("normalization", normalization, NORMALIZATIONS)
        self.normalization = normalization
        self.activation_order = checks.one_of("activation_order", activation_order, ("post", "pre"))
        self.transform_relu = checks.flag("transform_relu", transform_relu)
        post = activation_order == "post"
        self.mix_relu = post if mix_relu is None else checks.flag("mix_relu", mix_relu)
        self.shortcut = checks.one_of("shortcut", shortcut, ("projection", "pad"))
        self.stride_conv = checks.whole("stride_conv", stride_conv, least=1, most=2)
        self.layer_dropout = layer_dropout
        self.layer_dropout_unit = layer_dropout_unit
        self.momentum = checks.real("momentum", momentum, least=0, most=1)
        self.epsilon = checks.real("epsilon", epsilon, least=0, most=1)
        rule = GATINGS[gating]

        kernel_sizes, expansion = BLOCK_TYPES[block_type]
        self.output_filters = filters * expansion
        common = {"activation_order": activation_order, "momentum": momentum, "epsilon": epsilon}
        strided = self.stride_conv if block_type == "bottleneck" else 1
        deep = {
            "filters": (filters,) * (len(kernel_sizes) - 1) + (self.output_filters,),
            "kernel_sizes": kernel_sizes,
            "strides": [strides if i + 1 == strided else 1 for i in range(len(kernel_sizes))],
            "normalization": normalization,
        }
        shallow = {
            "filters": (self.output_filters,),
            "kernel_sizes": (1,),
            "strides": (strides,),
        }
        gate = deep if gate_type == "stack" else {**shallow, "normalization": None}
        dtype = self.dtype_policy

        # === Layers ===
        self.preactivation: Any = None
        self.transform = Stack(**deep, **common, dtype=dtype, name="transform")
        self.transform_gate: Any = None
        self.carry_gate: Any = None
        if "transform" in rule.free:
            self.transform_gate = Stack(
                **gate, **common, output_bias=transform_bias, dtype=dtype, name="transform_gate"
            )
        if "carry" in rule.free:
            self.carry_gate = Stack(
                **gate, **common, output_bias=carry_bias, dtype=dtype, name="carry_gate"
            )
        self.projection: Any = None
        self.projection_options = {**shallow, **common, "normalization": normalization}
        self.drop = make_layer_dropout(gating, layer_dropout, layer_dropout_unit, dtype)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.changes_shape = self.strides != 1 or channels != self.output_filters
        if self.activation_order == "pre":
            self.preactivation = make_normalization(
                unfolded(self.normalization),
                channels,
                momentum=self.momentum,
                epsilon=self.epsilon,
                dtype=self.dtype_policy,
                name="preactivation",
            )
        if self.changes_shape and GATINGS[self.gating].carries:
            if self.shortcut == "projection":
                self.projection = Stack(
                    **self.projection_options, dtype=self.dtype_policy, name="projection"
                )
            elif channels > self.output_filters:
                raise checks.InputError(
                    "Expected a padding shortcut to add channels. Received: an input of "
                    f"{channels} channels and a block that outputs {self.output_filters}. "
                    "Use shortcut='projection'."
                )
        for layer in (self.preactivation, *self.stacks()):
            if layer is not None:
                layer.build(input_shape)
        self.built = True

    def gates(self):
        """The stacks of the free gates."""
        return [gate for gate in (self.transform_gate, self.carry_gate) if gate is not None]

    def stacks(self):
        """The stacks of H, of the free gates and of a projection, in this order."""
        every = (self.transform, *self.gates(), self.projection)
        return [stack for stack in every if stack is not None]

    def parts(self, x, training=None):
        """Every named intermediate of the block.

        Args:
            x: tensor of shape `(batch, height, width, channels)`.
            training: bool, mode of normalization and layer dropout.

        Returns:
            A dict of tensors of the output's shape: "shortcut" (the x that is mixed; a plain
            block has none), "transform" (H), "transform_gate" (T) and "carry_gate" (C) in
            float32 at least, "mix" (before the last ReLU) and "output". H and T are those
            that are mixed, after layer dropout; a gate that is fixed has the shape `()`.
        """
        entry = self._enter(x, training)
        h = self.transform(entry, training=training)
        if self.transform_relu:
            h = ops.relu(h)
        transform = carry = None
        if self.transform_gate is not None:
            transform = gate_activation(self.transform_gate(entry, training=training))
            transform = self.drop(transform, training=training)
        else:
            h = self.drop(h, training=training)
        if self.carry_gate is not None:
            carry = gate_activation(self.carry_gate(entry, training=training))
        parts = {"transform": h}
        parts["transform_gate"], parts["carry_gate"] = effective_gates(
            self.gating, transform, carry
        )
        if GATINGS[self.gating].carries:
            x = parts["shortcut"] = self._carry(x, entry, training)
        parts["mix"] = mix(self.gating, h, x, transform, carry)
        parts["output"] = self.leave(parts["mix"])
        return parts

    def call(self, x, training=None):
        if self.layer_dropout or self._is_sum_of_convolutions() or not is_faster(self.gating, x):
            return self.parts(x, training=training)["output"]
        entry = self._enter(x, training)
        h = self.transform(entry, training=training)
        h = ops.relu(h) if self.transform_relu else h
        gates = [gate(entry, training=training) for gate in self.gates()]
        return fused_mix(self.gating, self.mix_relu, h, self._carry(x, entry, training), gates)

    def _is_sum_of_convolutions(self):
        """Whether oneDNN makes the sum, and a ReLU, part of the last convolution."""
        return self.normalization == "folded" and not self.gates()

    def lesion(self, x, how="identity", training=None):
        """The block's output without its own estimate, that is with T = 0.

        Args:
            x: tensor of shape `(batch, height, width, channels)`.
            how: "identity" (C = 1: the shortcut alone) or "keep_carry" (C as it is).
            training: bool, mode of the normalization of the shortcut and of the carry gate.

        Returns:
            A tensor of the output's shape. What `check_lesion` rejects is an InputError.
        """
        check_lesion(how, self.name, self.gating, self.changes_shape)
        entry = self._enter(x, training)
        y = self._carry(x, entry, training)
        if how == "keep_carry":
            carry = gate_activation(self.carry_gate(entry, training=training))
            y = mix(self.gating, ops.zeros_like(y), y, ops.zeros_like(carry), carry)
        return self.leave(y)

    def _enter(self, x, training):
        """What the stacks read."""
        if self.activation_order == "post":
            return x
        if self.preactivation is not None:
            x = self.preactivation(x, training=training)
        return ops.relu(x)

    def _carry(self, x, entry, training):
        """The shortcut: x, in the shape of the output."""
        if self.projection is not None:
            return self.projection(entry, training=training)
        if not self.changes_shape:
            return x
        # New channels come last, as in fb.resnet.torch's shortcut of type A.
        x = x[:, :: self.strides, :: self.strides, :]
        return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, self.output_filters - x.shape[-1])])

    def leave(self, y):
        """The output of a mix: its ReLU where `mix_relu`."""
        return ops.relu(y) if self.mix_relu else y

    def compute_output_shape(self, input_shape):
        return self.transform.compute_output_shape(input_shape)

    def count_macs(self, input_shape):
        """Multiply-accumulates of the convolutions for one example of `(1, h, w, c)`."""
        return sum(stack.count_macs(input_shape) for stack in self.stacks())

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in _OPTIONS}}


_OPTIONS = tuple(inspect.signature(Block.__init__).parameters)[1:-1]  # without self and **kwargs
