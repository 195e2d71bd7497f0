"""Text in files as parallel streams of words, cut into steps of equal length."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.models.character_lm import END


def read_words(folder, split):
    """The words of `FOLDER/SPLIT.txt`, with `<eos>` after each line.

    Args:
        folder: path.
        split: "train", "valid" or "test".

    Returns:
        A list of strings.

    Raises:
        InputError: if there is no such file, it is empty, or not UTF-8.
    """
    path = Path(folder).expanduser() / f"{split}.txt"
    if not path.is_file():
        raise checks.InputError(
            f"Expected a text of one sentence a line in {path}. Found none. A folder needs train.txt, "
            "valid.txt and test.txt."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise checks.InputError(
            f"Expected UTF-8 in {path}. Byte {error.start:,} is not. Convert it: iconv -t utf-8."
        ) from error
    words = [word for line in text.splitlines() for word in [*line.split(), END]]
    if len(words) == words.count(END):
        raise checks.InputError(f"Expected words in {path}. Found none. Fill the file.")
    return words


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
