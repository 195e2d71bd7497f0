"""The dense Highway layer."""

from typing import Any

import keras

from keras_unrolled import checks
from keras_unrolled.layers.layer_dropout import make_layer_dropout
from keras_unrolled.layers.mixing import (
    GATINGS,
    check_lesion,
    effective_gates,
    gate_activation,
    mix,
)


@keras.saving.register_keras_serializable(package="keras_unrolled")
class Highway(keras.layers.Layer):
    """Densely connected Highway layer (Srivastava et al. 2015) of any gating.

    `y = H * T + x * C` with `H = activation(x W + b)` and free gates
    `sigmoid(x W' + b')`. With the defaults it is the `Highway` layer of Keras 1, which
    Keras 2 dropped, but for the activation: that one's was linear.

    Args:
        gating: "plain", "residual", "full", "coupled", "c_only" or "t_only".
        activation: of H, a name or a callable; "relu" as in Kim et al. 2016.
        use_bias: bool, whether H and the gates have biases.
        transform_bias: float, initial bias of a free T: -2 in Kim et al. 2016 and in Keras 1.
        carry_bias: float, initial bias of a free C: 1, mostly open (ours).
        kernel_initializer: of every kernel.
        bias_initializer: of H's bias.
        kernel_regularizer: of every kernel.
        bias_regularizer: of every bias.
        layer_dropout: float in [0, 1), probability of leaving the layer out in training.
        layer_dropout_unit: "batch" or "sample", see `LayerDropout`.

    Input and output: float tensors of shape `(..., features)`, of the same dtype.

    Raises:
        InputError: for an unknown gating or a rate outside [0, 1).

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> layer = ku.layers.Highway(gating="coupled")
        >>> tuple(layer(keras.ops.ones((2, 8))).shape)
        (2, 8)
        >>> sorted(layer.parts(keras.ops.ones((2, 8))))
        ['carry_gate', 'mix', 'output', 'shortcut', 'transform', 'transform_gate']
    """

    def __init__(
        self,
        *,
        gating="coupled",
        activation="relu",
        use_bias=True,
        transform_bias=-2.0,
        carry_bias=1.0,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        layer_dropout=0.0,
        layer_dropout_unit="batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.gating = checks.one_of("gating", gating, GATINGS)
        self.activation = keras.activations.get(activation)
        self.use_bias = checks.flag("use_bias", use_bias)
        self.transform_bias = checks.real("transform_bias", transform_bias, least=-100, most=100)
        self.carry_bias = checks.real("carry_bias", carry_bias, least=-100, most=100)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.layer_dropout = layer_dropout
        self.layer_dropout_unit = layer_dropout_unit
        self.drop = make_layer_dropout(gating, layer_dropout, layer_dropout_unit, self.dtype_policy)
        self.supports_masking = True

    def build(self, input_shape):
        free = GATINGS[self.gating].free
        self.transform = self._dense(input_shape, "transform", self.bias_initializer)
        self.transform_gate: Any = None
        self.carry_gate: Any = None
        if "transform" in free:
            bias = keras.initializers.Constant(self.transform_bias)
            self.transform_gate = self._dense(input_shape, "transform_gate", bias)
        if "carry" in free:
            bias = keras.initializers.Constant(self.carry_bias)
            self.carry_gate = self._dense(input_shape, "carry_gate", bias)
        self.built = True

    def _dense(self, input_shape, name, bias_initializer):
        dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=self.use_bias,
            # A copy each: one without a seed returns the same draw whenever it is called.
            kernel_initializer=self.kernel_initializer.clone(),
            bias_initializer=bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(input_shape)
        return dense

    def parts(self, x, training=None):
        """Every named intermediate of the layer.

        Args:
            x: tensor of shape `(..., features)`.
            training: bool, mode of layer dropout.

        Returns:
            A dict of tensors of the input's shape, as of `Block.parts`: "shortcut" (x; a plain
            layer has none), "transform" (H), "transform_gate" (T), "carry_gate" (C), "mix" and
            "output", which are the same. A gate that is fixed has the shape `()`.
        """
        h = self.activation(self.transform(x))
        transform = carry = None
        if self.transform_gate is not None:
            transform = self.drop(gate_activation(self.transform_gate(x)), training=training)
        else:
            h = self.drop(h, training=training)
        if self.carry_gate is not None:
            carry = gate_activation(self.carry_gate(x))
        parts = {"transform": h}
        parts["transform_gate"], parts["carry_gate"] = effective_gates(
            self.gating, transform, carry
        )
        if GATINGS[self.gating].carries:
            parts["shortcut"] = x
        parts["mix"] = parts["output"] = mix(self.gating, h, x, transform, carry)
        return parts

    def call(self, x, training=None):
        return self.parts(x, training=training)["output"]

    def lesion(self, x, how="identity", training=None):
        """The layer's output with T = 0: x, or with `how="keep_carry"` x * C; see `Block.lesion`."""
        check_lesion(how, self.name, self.gating)
        if how == "identity":
            return x
        carry = gate_activation(self.carry_gate(x))
        zeros = keras.ops.zeros_like(x)
        return mix(self.gating, zeros, x, keras.ops.zeros_like(carry), carry)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "gating": self.gating,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "transform_bias": self.transform_bias,
            "carry_bias": self.carry_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "layer_dropout": self.layer_dropout,
            "layer_dropout_unit": self.layer_dropout_unit,
        }
