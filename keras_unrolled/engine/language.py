"""Training of the language model: carried state, and the loss over its vocabulary."""

import keras
import numpy as np
from keras import ops


class StatefulLM(keras.Model):
    """A `CharacterLM` whose state is carried from batch to batch, reading each distinct word once.

    Args:
        lm: a `CharacterLM` with a preprocessor.
        batch_size: int, texts that are read side by side.
        most_distinct: optional int, the most distinct words that a batch has, for JAX, where a
            shape is known before the values are; the default is as many as there are words.

    Call: word ids, int32 `(batch_size, length)`, to the input of the dense layer over the
    vocabulary, `(batch_size, length, units)`.
    """

    def __init__(self, lm, batch_size, most_distinct=None):
        super().__init__(dtype=lm.backbone.dtype_policy)
        self.lm, self.most_distinct = lm, most_distinct
        tokenizer = lm.preprocessor.tokenizer
        self.spelled = np.asarray(tokenizer.spell(tokenizer.vocabulary))
        self.state = [
            [
                self.add_weight(
                    shape=(batch_size, lstm.units),
                    initializer="zeros",
                    dtype=lstm.state_dtype,
                    trainable=False,
                    autocast=False,
                    name=f"{lstm.name}_{name}",
                )
                for name in ("output", "cell")
            ]
            for lstm in lm.backbone.lstms
        ]
        self.built = True

    def call(self, words, training=None):
        spelled, places = _find_backend().distinct_words(self, words)
        vectors = self.lm.backbone.read(spelled, training=training)
        vectors = ops.reshape(ops.take(vectors, places, axis=0), (*words.shape, vectors.shape[-1]))
        state = [[v.value for v in pair] for pair in self.state]
        hidden, new_state = self.lm.backbone.recur(vectors, state, training=training)
        for pair, values in zip(self.state, new_state):
            for variable, value in zip(pair, values):
                variable.assign(ops.stop_gradient(value))
        return self.lm.drop(hidden, training=training)


def language_objective(recipe):
    """The loss of Kim et al. 2016: the mean over the texts of the sum over the steps.

    Args:
        recipe: a `TextRecipe`.

    Returns:
        A function of (model, words, targets), as the engines take one, for a `StatefulLM`.
    """
    cross_entropy = _find_backend().cross_entropy

    def objective(model, words, targets):
        hidden = model(words, training=True)
        hidden = ops.reshape(hidden, (-1, hidden.shape[-1]))
        dense = model.lm.next_word
        kernel, bias = (ops.convert_to_tensor(v.value) for v in (dense.kernel, dense.bias))
        losses, hits = cross_entropy(hidden, kernel, bias, ops.reshape(targets, (-1,)))
        return ops.sum(losses) / recipe.batch_size, ops.mean(hits)

    return objective


def _find_backend():
    if keras.backend.backend() == "jax":
        from keras_unrolled.engine.jax import language

        return language
    from keras_unrolled.engine.tensorflow import language as tensorflow_language

    return tensorflow_language
