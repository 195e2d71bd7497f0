"""What training and scoring a language model take: carried state, distinct words, perplexity."""

import keras
import numpy as np
import tensorflow as tf

from keras_unrolled import evaluation

BATCH = 10  # texts side by side when an epoch is scored


class Carried(keras.Model):
    """A `CharacterLM` that goes on from batch to batch, and reads each distinct word once.

    Args:
        lm: a `CharacterLM` with a preprocessor.
        batch_size: int, texts that are read side by side.

    Call: word numbers, int32 `(batch_size, length)`, to what the dense layer to the vocabulary reads,
    `(batch_size, length, units)`.
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
        hidden, after = backbone.recur(vectors, state, training=training)
        for pair, values in zip(self.state, after):
            for variable, value in zip(pair, values):
                variable.assign(tf.stop_gradient(value))
        return self.lm.drop(hidden, training=training)


@tf.custom_gradient
def cross_entropy(hidden, kernel, bias, targets):
    """Softmax cross-entropy of a dense layer, in less time than the layer and the loss apart take.

    Products are in the dtype of `hidden`, the softmax in that of `kernel`.

    Args:
        hidden: float tensor `(n, units)`.
        kernel: float tensor `(units, words)`.
        bias: float tensor `(words,)`.
        targets: int32 tensor `(n,)`.

    Returns:
        Tensors `(n,)`: losses, and 1 where the target was the likeliest, else 0.
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


def objective(recipe):
    """The loss of Kim et al. 2016: the mean over the texts, the sum over the steps."""

    def score(model, words, targets):
        hidden = model(words, training=True)
        hidden = tf.reshape(hidden, (-1, hidden.shape[-1]))
        losses, hits = cross_entropy(
            hidden,
            tf.convert_to_tensor(model.lm.next_word.kernel.value),
            tf.convert_to_tensor(model.lm.next_word.bias.value),
            tf.reshape(targets, [-1]),
        )
        return tf.reduce_sum(losses) / recipe.batch_size, tf.reduce_mean(hits)

    return score


class Best:
    """Scores each epoch on the validation text, keeps the best one's weights, halves the rate.

    Args:
        workdir: path of the run's folder.
        words: list of strings, the validation text.
        build: function of no argument that returns the `CharacterLM` in float32.
    """

    def __init__(self, workdir, words, build):
        self.path, self.words, self.build, self.model = workdir / "best.npz", words, build, None

    def evaluate(self, carried):
        """The perplexity of a `Carried`'s weights, in float32."""
        self.model = self.model or self.build()
        for own, other in zip(self.model.weights, carried.lm.weights, strict=True):
            own.assign(other)
        found = evaluation.perplexity(self.model, self.words, batch_size=BATCH)
        return {"valid_perplexity": found["perplexity"]}

    def after_epoch(self, carried, optimizer, figures, state):
        """Kim et al. 2016: half the rate unless the perplexity has fallen by more than 1."""
        found = figures["valid_perplexity"]
        former, state["former"] = state.get("former"), found
        if former is not None and found > former - 1.0:
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        if found < state.get("best", float("inf")):
            state["best"], state["best_epoch"] = found, figures["epoch"]
            aside = self.path.with_suffix(".part")
            with aside.open("wb") as file:
                np.savez(file, *[keras.ops.convert_to_numpy(w) for w in carried.lm.weights])
            aside.replace(self.path)

    def load(self):
        """The `CharacterLM` of the best epoch."""
        model = self.build()
        with np.load(self.path, allow_pickle=False) as file:
            for i, weight in enumerate(model.weights):
                weight.assign(file[f"arr_{i}"])
        return model
