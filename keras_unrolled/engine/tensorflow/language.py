"""What the training of the language model does in its own way on TensorFlow."""

import tensorflow as tf


def distinct_words(model, words):
    """The characters of a batch's distinct words, and where each word is among them.

    Args:
        model: a `StatefulLM`.
        words: int32 tensor `(batch, length)`.

    Returns:
        int tensors `(distinct, characters)`, up to the longest of them, and `(batch * length,)`.
    """
    distinct, places = tf.unique(tf.reshape(words, [-1]))
    spelled = tf.gather(tf.constant(model.spelled), distinct)
    longest = tf.reduce_max(tf.reduce_sum(tf.cast(spelled > 0, tf.int32), -1))
    return spelled[:, :longest], places


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
