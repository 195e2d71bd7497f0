"""From a word's characters to a vector: convolutions, their maximum, gated layers."""

import keras
from keras import ops

from keras_unrolled import checks
from keras_unrolled.layers.highway import Highway
from keras_unrolled.layers.mixing import GATINGS

PADDING = 0  # the character that fills short words up; its vector is zero


@keras.saving.register_keras_serializable(package="keras_unrolled")
class WordEncoder(keras.layers.Layer):
    """A word's vector from its characters (Kim et al. 2016, section 2.2).

    Each filter is convolved over the character vectors of the word and of the zeros that follow
    it, without padding before; tanh and the maximum over all places give one number a filter. Then come
    gated layers. Because zeros go on for ever, a word's vector does not depend on how far it is padded.

    As tanh and a bias are monotonic, the maximum is taken first: one product of all windows with all
    filters, its maximum with 0 (the window of zeros), bias, tanh.

    Args:
        num_characters: int, size of the character vocabulary, padding included.
        character_dim: int, size of a character's vector.
        filter_widths: sequence of int.
        num_filters: sequence of int, for each width.
        num_layers: int, gated layers.
        gating: of these, as in `Highway`.
        transform_bias: float, initial bias of a free T (-2, Kim et al. 2016).
        carry_bias: float, initial bias of a free C (1, ours).
        initializer: of all weights but the gates' biases.

    Input: int tensor `(..., characters)`, 0 for padding. Output: `(..., sum(num_filters))`.

    Example:
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> encoder = ku.layers.WordEncoder(
        ...     num_characters=30,
        ...     character_dim=4,
        ...     filter_widths=(1, 2),
        ...     num_filters=(5, 7),
        ...     num_layers=1,
        ... )
        >>> words = np.array([[3, 1, 20, 0], [4, 15, 7, 0]])  # "cat" and "dog" as numbers
        >>> tuple(encoder(words).shape)
        (2, 12)
    """

    def __init__(
        self,
        *,
        num_characters,
        character_dim,
        filter_widths,
        num_filters,
        num_layers,
        gating="coupled",
        transform_bias=-2.0,
        carry_bias=1.0,
        initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_characters = checks.whole("num_characters", num_characters, least=2, most=10**6)
        self.character_dim = checks.whole("character_dim", character_dim, least=1, most=4_096)
        self.filter_widths, self.num_filters = tuple(filter_widths), tuple(num_filters)
        if len(self.filter_widths) != len(self.num_filters) or not self.filter_widths:
            raise checks.InputError(
                "Expected a number of filters for each width. Received: filter_widths="
                f"{self.filter_widths}, num_filters={self.num_filters}. Give as many of each."
            )
        for width, count in zip(self.filter_widths, self.num_filters):
            checks.whole("filter_widths", width, least=1, most=100)
            checks.whole("num_filters", count, least=1, most=65_536)
        self.num_layers = checks.whole("num_layers", num_layers, least=0, most=1_000)
        self.gating = checks.one_of("gating", gating, GATINGS)
        self.transform_bias, self.carry_bias = transform_bias, carry_bias
        self.initializer = keras.initializers.get(initializer)
        self.layers = [
            Highway(
                gating=self.gating,
                transform_bias=transform_bias,
                carry_bias=carry_bias,
                kernel_initializer=self.initializer,
                bias_initializer=self.initializer.clone(),
                dtype=self.dtype_policy,
                name=f"highway{i}",
            )
            for i in range(1, self.num_layers + 1)
        ]

    def build(self, input_shape):
        def add(name, *shape):
            return self.add_weight(name=name, shape=shape, initializer=self.initializer.clone())

        self.embedding = add("embedding", self.num_characters, self.character_dim)
        self.kernels = [
            add(f"kernel{width}", width, self.character_dim, count)
            for width, count in zip(self.filter_widths, self.num_filters)
        ]
        self.bias = add("bias", sum(self.num_filters))
        for layer in self.layers:
            layer.build((None, sum(self.num_filters)))
        self.built = True

    def call(self, characters, training=None):
        y = self.convolve(characters)
        for layer in self.layers:
            y = layer(y, training=training)
        return ops.reshape(y, (*ops.shape(characters)[:-1], sum(self.num_filters)))

    def convolve(self, characters):
        """The vectors `(words, sum(num_filters))` of all words before the gated layers."""
        widest = max(self.filter_widths)
        characters = ops.cast(characters, "int32")
        shape = ops.shape(characters)
        characters = ops.reshape(characters, (-1, shape[-1]))
        real = ops.cast(characters != PADDING, self.compute_dtype)[..., None]
        vectors = ops.take(ops.cast(self.embedding, self.compute_dtype), characters, axis=0) * real
        vectors = ops.pad(vectors, [(0, 0), (0, widest - 1), (0, 0)])
        windows = ops.concatenate([vectors[:, i : i + shape[-1]] for i in range(widest)], axis=-1)
        # Every filter in the width of the widest: one large product is faster than many small ones.
        kernels = [
            ops.pad(ops.cast(k, self.compute_dtype), [(0, widest - k.shape[0]), (0, 0), (0, 0)])
            for k in self.kernels
        ]
        kernel = ops.concatenate(kernels, axis=-1)
        kernel = ops.reshape(kernel, (widest * self.character_dim, -1))
        most = ops.relu(ops.max(ops.matmul(windows, kernel), axis=1))
        return ops.tanh(most + ops.cast(self.bias, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], sum(self.num_filters))

    def get_config(self):
        return {
            **super().get_config(),
            "num_characters": self.num_characters,
            "character_dim": self.character_dim,
            "filter_widths": self.filter_widths,
            "num_filters": self.num_filters,
            "num_layers": self.num_layers,
            "gating": self.gating,
            "transform_bias": self.transform_bias,
            "carry_bias": self.carry_bias,
            "initializer": keras.initializers.serialize(self.initializer),
        }
