"""Training of the language model on TensorFlow: carried state and a fused loss."""

import keras
import tensorflow as tf


class StatefulLM(keras.Model):
    """A `CharacterLM` whose state is carried from batch to batch, reading each distinct word once.

    Args:
        lm: a `CharacterLM` with a preprocessor.
        batch_size: int, texts that are read side by side.

    Call: word ids, int32 `(batch_size, length)`, to the input of the dense layer over the
    vocabulary, `(batch_size, length, units)`.
    """

    def __init__(self, lm, batch_size):
        super().__init__(dtype=lm.backbone.dtype_policy)
        self.lm = lm
        tokenizer = lm.preprocessor.tokenizer
        self.spelled = tf.constant(tokenizer.spell(tokenizer.vocabulary))
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
        distinct, places = tf.unique(tf.reshape(words, [-1]))
        backbone, spelled = self.lm.backbone, tf.gather(self.spelled, distinct)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(spelled > 0, tf.int32), -1))
        vectors = backbone.read(spelled[:, :longest], training=training)
        vectors = tf.reshape(tf.gather(vectors, places), (*words.shape, vectors.shape[-1]))
        state = [[v.value for v in pair] for pair in self.state]
        hidden, new_state = backbone.recur(vectors, state, training=training)
        for pair, values in zip(self.state, new_state):
            for variable, value in zip(pair, values):
                variable.assign(tf.stop_gradient(value))
        return self.lm.drop(hidden, training=training)


@tf.custom_gradient
def cross_entropy(hidden, kernel, bias, targets):
    """Softmax cross-entropy of a dense layer, faster than the layer followed by the loss.

    Products are in the dtype of `hidden`, the softmax in that of `kernel`.

    Args:
        hidden: float tensor `(n, units)`.
        kernel: float tensor `(units, words)`.
        bias: float tensor `(words,)`.
        targets: int32 tensor `(n,)`.

    Returns:
        Two tensors `(n,)`: the losses, and 1 where the target was the most likely word, else 0.
    """
    narrow = tf.cast(kernel, hidden.dtype)
    logits = tf.cast(tf.matmul(hidden, narrow) + tf.cast(bias, hidden.dtype), kernel.dtype)
    places = tf.stack([tf.range(tf.shape(targets)[0]), targets], 1)
    most = tf.reduce_max(logits, -1)
    powers = tf.exp(logits - most[:, None])
    total = tf.reduce_sum(powers, -1)
    right = tf.gather_nd(logits, places)
    hits = tf.cast(right >= most, kernel.dtype)

    def gradient(upstream, _):
        d_logits = tf.cast(powers * (upstream / total)[:, None], hidden.dtype)
        d_logits = tf.tensor_scatter_nd_sub(d_logits, places, tf.cast(upstream, hidden.dtype))
        return (
            tf.matmul(d_logits, narrow, transpose_b=True),
            tf.cast(tf.matmul(hidden, d_logits, transpose_a=True), kernel.dtype),
            tf.reduce_sum(tf.cast(d_logits, bias.dtype), 0),
            None,
        )

    return (tf.math.log(total) + most - right, hits), gradient


def language_objective(recipe):
    """The loss of Kim et al. 2016: the mean over the texts of the sum over the steps.

    Args:
        recipe: a `TextRecipe`.

    Returns:
        A function of (model, words, targets), as `make_step` takes one, for a `StatefulLM`.
    """

    def objective(model, words, targets):
        hidden = model(words, training=True)
        hidden = tf.reshape(hidden, (-1, hidden.shape[-1]))
        kernel, bias = (
            tf.convert_to_tensor(v.value)
            for v in (model.lm.next_word.kernel, model.lm.next_word.bias)
        )
        losses, hits = cross_entropy(hidden, kernel, bias, tf.reshape(targets, [-1]))
        return tf.reduce_sum(losses) / recipe.batch_size, tf.reduce_mean(hits)

    return objective
