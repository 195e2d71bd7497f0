"""Training batches of a text, whose parts are read side by side."""

from typing import Any

import numpy as np

from keras_unrolled import checks


class TextBatches:
    """Batches as functions of the step: a stream of `tf.data`, or a table for a device.

    The text is cut into `batch_size` streams of equal length, which are read side by side; what is
    left over at its end is left out, as in Kim et al. 2016.

    Args:
        ids: int array, the words of a text.
        batch_size: int, streams.
        length: int, words of each stream per step.
        epochs: int, after which the stream ends.

    Attributes:
        table: int32 `(batch_size, n)`, the streams.
        steps_per_epoch: int.
        most_distinct: int, the most distinct words that one batch has.

    Call: as in `keras_unrolled.data.streams`, with two int32 arrays `(batch_size, length)`, words and
    the words that follow them. A call imports TensorFlow.

    Raises:
        InputError: if the text is too short for one step.
    """

    def __init__(self, ids: Any, *, batch_size: int, length: int, epochs: int) -> None:
        each = len(ids) // batch_size
        self.steps_per_epoch = (each - 1) // length if each > 1 else 0
        if self.steps_per_epoch < 1:
            raise checks.InputError(
                f"Expected a text of at least {batch_size * (length + 1):,} words, for {batch_size} "
                f"streams of {length} words and one more. Received {len(ids):,}. Lower batch_size or "
                "length."
            )
        self.length, self.total_steps = length, epochs * self.steps_per_epoch
        self.table = np.reshape(ids[: each * batch_size], (batch_size, each)).astype("int32")

    @property
    def most_distinct(self) -> int:
        starts = range(0, self.steps_per_epoch * self.length, self.length)
        return max(len(np.unique(self.table[:, i : i + self.length])) for i in starts)

    def begin(self, step: Any) -> Any:
        """Where the batch of a step begins in `table`."""
        return step % self.steps_per_epoch * self.length

    def __call__(self, start: int, parts: int = 1, worker: int = 0, workers: int = 1) -> Any:
        from keras_unrolled.data.streams import stream_text

        return stream_text(self, start)
