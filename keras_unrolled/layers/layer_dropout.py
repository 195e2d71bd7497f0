"""Layer dropout: blocks that are dropped at random during training."""

import keras
from keras import ops

from keras_unrolled import checks
from keras_unrolled.layers.mixing import GATINGS


@keras.saving.register_keras_serializable(package="keras_unrolled")
class LayerDropout(keras.layers.Layer):
    """Multiplies by 0 or 1 in training and by the survival probability otherwise.

    This is Huang et al.'s rule (2016, section 3): in training the branch is dropped with
    probability `rate`; at test time it is scaled by `1 - rate`. A block applies it to the
    factor of its new estimate: to H itself where T is fixed at 1, to T
    where T is free, so that a dropped Highway block has T = 0 and copies its input.

    It is not `keras.layers.Dropout` with a noise shape: that one scales up the survivors in
    training, which would push a gate above 1.

    Args:
        rate: float in [0, 1), the probability of leaving the block out.
        unit: "batch" drops the block for a whole mini-batch at once (Huang et al.);
            "sample" decides for each example.
        seed: optional int, seed of the draws.

    Call arguments:
        inputs: tensor of shape `(batch, ...)`.
        training: whether to draw.

    Output: a tensor of the input's shape and dtype.

    Raises:
        InputError: if `rate` is outside [0, 1) or `unit` is neither word.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> drop = ku.layers.LayerDropout(0.25)
        >>> float(drop(keras.ops.ones((1, 1)), training=False)[0, 0])
        0.75
    """

    def __init__(self, rate, *, unit="batch", seed=None, **kwargs):
        # Under mixed precision a gate is in float32 and stays so.
        super().__init__(autocast=False, **kwargs)
        self.rate = checks.real("rate", rate, least=0.0, most=1.0, below=True)
        self.unit = checks.one_of("unit", unit, ("batch", "sample"))
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        if self.rate == 0:
            return inputs
        if not training:
            return ops.multiply(inputs, ops.cast(1.0 - self.rate, inputs.dtype))
        batch = ops.shape(inputs)[0] if self.unit == "sample" else 1
        shape = (batch,) + (1,) * (len(inputs.shape) - 1)
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        return ops.multiply(inputs, ops.cast(ops.greater_equal(draw, self.rate), inputs.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "unit": self.unit,
            "seed": self.seed,
        }


def make_layer_dropout(gating, rate, unit, dtype):
    """The `LayerDropout` of a block or layer of the given gating.

    Raises:
        InputError: as `LayerDropout`, and for a gating that does not carry its input.
    """
    if rate and not GATINGS[gating].carries:
        raise checks.InputError(
            "Expected a gating that carries its input, for a plain block that is dropped "
            f"passes nothing on. Received: layer_dropout={rate}, gating={gating!r}. "
            "Set layer_dropout=0 or choose another gating."
        )
    return LayerDropout(rate, unit=unit, dtype=dtype, name="layer_dropout")
