"""What the training of the language model does in its own way on JAX."""

import jax.numpy as jnp
from jax.nn import logsumexp


def distinct_words(model, words):
    """The characters of a batch's distinct words, and where each word is among them.

    Args:
        model: a `StatefulLM`.
        words: int32 array `(batch, length)`.

    Returns:
        int arrays `(most_distinct, characters)`, filled up with a word, and `(batch * length,)`.
    """
    size = min(model.most_distinct or words.size, len(model.spelled))
    distinct, places = jnp.unique(words.reshape(-1), return_inverse=True, size=size)
    return jnp.asarray(model.spelled)[distinct], places.reshape(-1)


def cross_entropy(hidden, kernel, bias, targets):
    """As that of `engine.tensorflow.language`."""
    logits = hidden @ kernel.astype(hidden.dtype) + bias.astype(hidden.dtype)
    logits = logits.astype(kernel.dtype)
    right = jnp.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
    hits = (right >= logits.max(-1)).astype(kernel.dtype)
    return logsumexp(logits, axis=-1) - right, hits
