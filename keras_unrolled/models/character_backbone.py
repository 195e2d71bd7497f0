"""Words read through their characters, then an LSTM: the network of Kim et al. 2016."""

from typing import Any

import keras
import keras_hub

from keras_unrolled import checks
from keras_unrolled.layers.lstm import LSTM
from keras_unrolled.layers.word_encoder import WordEncoder
from keras_unrolled.models.limits import check_weight_count
from keras_unrolled.preset_names import Named


def make_dropout(rate, variational, dtype, name):
    """A dropout of `(batch, words, units)`, of a mask for each word or of one for all."""
    shape = (None, 1, None) if variational else None
    return keras.layers.Dropout(rate, noise_shape=shape, dtype=dtype, name=name)


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterBackbone(Named, keras_hub.models.Backbone):
    """A `WordEncoder` and a stack of LSTMs.

    Args:
        num_characters: int, size of the character vocabulary, padding included.
        character_dim: int, size of a character's vector.
        filter_widths: sequence of int.
        num_filters: sequence of int, for each width.
        num_layers: int, gated layers between convolutions and LSTM; 0 for none.
        gating: of these, as in `Highway`.
        units: int, of each LSTM.
        num_recurrent_layers: int, LSTMs.
        dropout: float in [0, 1), before each LSTM but the first (0.5, Kim et al. 2016, section 4).
        transform_bias: float, initial bias of a free T.
        carry_bias: float, initial bias of a free C.
        recurrent_dropout: float in [0, 1), of each LSTM's recurrent product, as in `LSTM`.
        input_dropout: float in [0, 1), before the first LSTM.
        two_biases: bool, whether an LSTM has a recurrent bias, too.
        variational: bool, whether dropout leaves out the same units at all words of a call (Gal &
            Ghahramani 2016).
        initial_range: float, all other weights are drawn from +- this (0.05, Kim et al. 2016).

    Input: int array `(batch, words, characters)`, 0 for padding.
    Output: float `(batch, words, units)`. The call starts from a state of zeros; `read` and `recur`
    are its two halves for text that goes on.

    Raises:
        InputError: for a value outside the ones listed.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.character_lm("small", gating="c_only", vocabulary_size=100)
        >>> model.backbone.gating
        'c_only'
    """

    def __init__(
        self,
        *,
        num_characters,
        character_dim,
        filter_widths,
        num_filters,
        num_layers,
        units,
        gating="coupled",
        num_recurrent_layers=2,
        dropout=0.5,
        transform_bias=-2.0,
        carry_bias=1.0,
        two_biases=True,
        recurrent_dropout=0.0,
        input_dropout=0.0,
        variational=False,
        initial_range=0.05,
        dtype=None,
        **kwargs,
    ):
        checks.check_names(kwargs, ("name", "trainable"), "CharacterBackbone")
        checks.whole("units", units, least=1, most=65_536)
        checks.whole("num_layers", num_layers, least=0, most=1_000)
        checks.whole("num_characters", num_characters, least=2, most=10**6)
        checks.whole("character_dim", character_dim, least=1, most=4_096)
        for count in num_filters:
            checks.whole("num_filters", count, least=1, most=65_536)
        checks.whole("num_recurrent_layers", num_recurrent_layers, least=1, most=100)
        for name, rate in (("dropout", dropout), ("input_dropout", input_dropout)):
            checks.real(name, rate, least=0, most=1, below=True)
        checks.flag("variational", variational)
        checks.real("initial_range", initial_range, least=0, most=10)
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        features = sum(num_filters)
        check_weight_count(
            num_characters * character_dim
            + num_layers * features**2
            + 4 * units * (features + units * (2 * num_recurrent_layers - 1)),
            f"{num_characters:,} characters, {features:,} filters, {units:,} units",
        )

        def uniform():
            return keras.initializers.RandomUniform(-initial_range, initial_range)

        # === Layers ===
        encoder = WordEncoder(
            num_characters=num_characters,
            character_dim=character_dim,
            filter_widths=filter_widths,
            num_filters=num_filters,
            num_layers=num_layers,
            gating=gating,
            transform_bias=transform_bias,
            carry_bias=carry_bias,
            initializer=uniform(),
            dtype=dtype,
            name="word_encoder",
        )
        numbers = range(1, num_recurrent_layers + 1)
        lstms = [
            LSTM(
                units,
                two_biases=two_biases,
                recurrent_dropout=recurrent_dropout,
                kernel_initializer=uniform(),
                recurrent_initializer=uniform(),
                bias_initializer=uniform(),
                dtype=dtype,
                name=f"lstm{i}",
            )
            for i in numbers
        ]
        rates = [input_dropout, *[dropout] * (num_recurrent_layers - 1)]
        drops: list[Any] = [
            # Without effect the first is left out: weights files have names by numbers.
            make_dropout(rate, variational, dtype, f"dropout{i}") if rate or i > 1 else None
            for i, rate in zip(numbers, rates)
        ]

        # === Functional Model ===
        characters = keras.Input((None, None), dtype="int32", name="character_ids")
        x = encoder(characters)
        for i, lstm in enumerate(lstms):
            x, _ = lstm(x if drops[i] is None else drops[i](x))
        super().__init__(inputs=characters, outputs=x, dtype=dtype, **kwargs)

        # === Config ===
        self.encoder, self.lstms, self.drops = encoder, lstms, drops
        self.num_characters = num_characters
        self.character_dim = character_dim
        self.filter_widths, self.num_filters = tuple(filter_widths), tuple(num_filters)
        self.num_layers = num_layers
        self.units = units
        self.gating = gating
        self.num_recurrent_layers = num_recurrent_layers
        self.dropout, self.input_dropout = dropout, input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.transform_bias, self.carry_bias = transform_bias, carry_bias
        self.two_biases = two_biases
        self.variational = variational
        self.initial_range = initial_range

    def read(self, characters, training=None):
        """Word vectors `(..., sum(num_filters))` of words given as `(..., characters)`."""
        return self.encoder(characters, training=training)

    def start(self, batch):
        """The state before the first word: for each LSTM two zero tensors `(batch, units)`."""
        return [lstm.start(batch) for lstm in self.lstms]

    def recur(self, vectors, state, training=None, projected=False):
        """Outputs `(batch, words, units)` for word vectors, and the state after them.

        With `projected` the vectors are what the first LSTM's `project` gave for them.
        """
        x, after = vectors, []
        for i, lstm in enumerate(self.lstms):
            if self.drops[i] is not None and (i or not projected):
                x = self.drops[i](x, training=training)
            x, new = lstm(x, state[i], projected=projected and not i, training=training)
            after.append(new)
        return x, after

    def get_config(self):
        return {
            **super().get_config(),
            "num_characters": self.num_characters,
            "character_dim": self.character_dim,
            "filter_widths": self.filter_widths,
            "num_filters": self.num_filters,
            "num_layers": self.num_layers,
            "units": self.units,
            "gating": self.gating,
            "num_recurrent_layers": self.num_recurrent_layers,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "input_dropout": self.input_dropout,
            "transform_bias": self.transform_bias,
            "carry_bias": self.carry_bias,
            "two_biases": self.two_biases,
            "variational": self.variational,
            "initial_range": self.initial_range,
        }
