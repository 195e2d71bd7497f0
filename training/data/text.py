"""A text as parallel streams of words, cut into steps of equal length."""

import numpy as np
import tensorflow as tf

from keras_unrolled import checks


def make_stream(ids, *, batch_size, length, epochs):
    """A function from a step to the dataset that starts there.

    The text is cut into `batch_size` streams of equal length, which are read side by side; what
    is left over at its end is left out, as in Kim et al. 2016.

    Args:
        ids: int array, the words of a text.
        batch_size: int, streams.
        length: int, words of each stream a step.
        epochs: int.

    Returns:
        `stream(step, parts=1, worker=0, workers=1)`, a `tf.data.Dataset` of two int32 arrays
        `(batch_size, length)`, words and the words that follow them; and the steps an epoch.

    Raises:
        InputError: if the text is too short for one step.
    """
    each = len(ids) // batch_size
    steps = (each - 1) // length if each > 1 else 0
    if steps < 1:
        raise checks.InputError(
            f"Expected a text of {batch_size * (length + 1):,} words at least, for {batch_size} "
            f"streams of {length} and one more. Received {len(ids):,}. Lower batch_size or length."
        )
    table = tf.constant(np.reshape(ids[: each * batch_size], (batch_size, each)), tf.int32)

    def piece(i):
        begin = tf.cast(i % steps, tf.int32) * length
        words = table[:, begin : begin + length + 1]
        words.set_shape((batch_size, length + 1))
        return words[:, :-1], words[:, 1:]

    def stream(start, parts=1, worker=0, workers=1):
        return tf.data.Dataset.range(start, epochs * steps).map(piece).prefetch(4)

    return stream, steps
