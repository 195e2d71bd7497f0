"""What training and scoring a language model take: carried state, distinct words, perplexity."""

import math

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
        counts: bool, whether to count the steps, as sampling words needs.

    Call: word numbers, int32 `(batch_size, length)`, to what the dense layer to the vocabulary reads,
    `(batch_size, length, units)`.
    """

    def __init__(self, lm, batch_size, counts=False):
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
        self.steps = None
        if counts:
            zero = {"initializer": "zeros", "dtype": "int32", "trainable": False}
            self.steps = self.add_weight(shape=(), name="steps", **zero)
        self.built = True

    def call(self, words, training=None):
        if self.steps is not None:
            self.steps.assign(self.steps.value + 1)
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


def draw_words(seed, count, vocabulary):
    """Numbers of words, the frequent ones more often, and how often each is expected.

    The log-uniform distribution over words in the order of their frequency, as Zipf's law has it
    and TensorFlow's sampler draws; but a function of the seed.

    Args:
        seed: int tensor of shape `(2,)`.
        count: int, how many to draw, with repetition.
        vocabulary: int.

    Returns:
        int32 tensor `(count,)`, and a function from words to how often each is among `count`.
    """
    total = math.log(vocabulary + 1.0)
    drawn = tf.exp(tf.random.stateless_uniform((count,), seed) * total) - 1
    drawn = tf.minimum(tf.cast(drawn, tf.int32), vocabulary - 1)

    def expected(words):
        words = tf.cast(words, "float32")
        return count * tf.math.log((words + 2) / (words + 1)) / total

    return drawn, expected


def sampled_cross_entropy(hidden, kernel, bias, targets, drawn, expected):
    """Softmax cross-entropy whose sum over the vocabulary is estimated from words that were drawn.

    Importance sampling (Bengio & Senecal 2003): each word drawn stands for as many as it was
    unlikely; the target itself is counted as it is.

    Args:
        hidden, kernel, bias, targets: as of `cross_entropy`.
        drawn: int32 tensor `(count,)`, words.
        expected: function from words to how often each is drawn.

    Returns:
        As of `cross_entropy`.
    """
    dtype = hidden.dtype
    columns = tf.cast(tf.gather(kernel, drawn, axis=1), dtype)
    others = tf.cast(tf.matmul(hidden, columns), kernel.dtype) + tf.gather(bias, drawn)
    others -= tf.math.log(expected(drawn))
    # A target among those drawn counts once, by itself.
    others = tf.where(drawn[None] == targets[:, None], tf.cast(-1e9, others.dtype), others)
    right = tf.cast(tf.gather(kernel, targets, axis=1), dtype)
    right = tf.reduce_sum(tf.cast(hidden * tf.transpose(right), kernel.dtype), -1)
    right += tf.gather(bias, targets)
    logits = tf.concat([right[:, None], others], -1)
    hits = tf.cast(right >= tf.reduce_max(others, -1), kernel.dtype)
    return tf.reduce_logsumexp(logits, -1) - right, hits


def objective(recipe):
    """The loss of Kim et al. 2016: the mean over the texts, the sum over the steps."""

    def score(model, words, targets):
        hidden = model(words, training=True)
        hidden = tf.reshape(hidden, (-1, hidden.shape[-1]))
        kernel, bias = (
            tf.convert_to_tensor(v.value)
            for v in (model.lm.next_word.kernel, model.lm.next_word.bias)
        )
        targets = tf.reshape(targets, [-1])
        if recipe.sampled:
            seed = tf.stack([tf.constant(recipe.seed, tf.int32), tf.convert_to_tensor(model.steps)])
            drawn = draw_words(seed, recipe.sampled, bias.shape[0])
            losses, hits = sampled_cross_entropy(hidden, kernel, bias, targets, *drawn)
        else:
            losses, hits = cross_entropy(hidden, kernel, bias, targets)
        return tf.reduce_sum(losses) / recipe.batch_size, tf.reduce_mean(hits)

    return score


class Best:
    """Scores each epoch on the validation text, and keeps the best one's weights.

    Args:
        workdir: path of the run's folder.
        words: list of strings, the validation text.
        build: function of no argument that returns the `CharacterLM` in float32.
        halve: bool, whether to halve the rate after an epoch that has not brought the perplexity
            down by more than 1 (Kim et al. 2016).
    """

    def __init__(self, workdir, words, build, halve=True):
        self.path, self.words, self.build, self.model = workdir / "best.npz", words, build, None
        self.halve = halve

    def evaluate(self, carried):
        """The perplexity of a `Carried`'s weights, in float32."""
        self.model = self.model or self.build()
        for own, other in zip(self.model.weights, carried.lm.weights, strict=True):
            own.assign(other)
        found = evaluation.perplexity(self.model, self.words, batch_size=BATCH)
        return {"valid_perplexity": found["perplexity"]}

    def after_epoch(self, carried, optimizer, figures, state):
        """Halves the rate and keeps the weights, where that is due."""
        found = figures["valid_perplexity"]
        former, state["former"] = state.get("former"), found
        if self.halve and former is not None and found > former - 1.0:
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
