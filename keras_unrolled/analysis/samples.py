"""Images or words to look at a network with, in batches that are prepared as for prediction."""

from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled import progress as bars
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.labels import read_labels
from keras_unrolled.data.tfds import TFDSImages
from keras_unrolled.models.character_lm import CharacterLM
from keras_unrolled.models.inputs import check_images

MOST_BATCH = 250
DECODED = 16  # pictures of TFDS in memory at once; of files one, which may have 200 MB
MEMORY = 2**29  # bytes that the activations of one batch may take


class Samples:
    """Images or words, with or without labels: what the functions of `keras_unrolled.analysis` take.

    Args:
        stack: a `BlockStack`.
        images: uint8 array `(n, height, width, channels)`, a list of arrays `(height, width,
            channels)`, `ImageFiles` or `TFDSImages`; `Examples`, which have labels; for a language
            model a list of words; for a network without a preprocessor what it takes.
        labels: optional int array `(n,)` of class numbers.

    Raises:
        InputError: for none, for images that the network does not take, and for labels of another
            number or range.
    """

    def __init__(self, stack: Any, images: Any, labels: Any = None):
        if isinstance(images, Examples):
            images, labels = images.images, images.labels if labels is None else labels
        if hasattr(images, "shape") and not isinstance(images, np.ndarray):
            images = keras.ops.convert_to_numpy(images)
        if isinstance(images, tuple):
            images = list(images)
        self._check_values(stack, images)
        if stack.channels is not None:
            check_images(images, stack.channels)
        self.stack, self.images = stack, images
        count = stack.num_classes
        self.labels = None if labels is None else read_labels(labels, len(images), count)

    @staticmethod
    def _check_values(stack, images):
        """Raises `InputError` for what a network cannot be looked at with."""
        known = isinstance(images, (np.ndarray, list, ImageFiles, TFDSImages))
        if not known or not len(images):
            found = f"a {type(images).__name__}" if not known else "an empty one"
            raise checks.InputError(
                "Expected images in an array or a list, or words in a list. Received "
                f"{found}. Pass one at least, in memory; `keras-unrolled analyze` and `ku.analyze` read "
                "files and data sets."
            )
        are_words = isinstance(images, list) and all(isinstance(x, str) for x in images)
        reads_words = isinstance(stack.model, CharacterLM)
        if are_words != reads_words:
            kinds = {True: "a list of words", False: "images"}
            raise checks.InputError(
                f"Expected {kinds[reads_words]} for this network. Received {kinds[are_words]}. "
                "Pass what the network reads."
            )

    def __len__(self) -> int:
        return len(self.images)

    def needs_labels(self, measurement: str) -> np.ndarray:
        """The labels; raises `InputError` where there are none."""
        if self.labels is None:
            raise checks.InputError(
                f"Expected labels for {measurement}. Received images without. Pass labels=..., a class "
                "number for each."
            )
        return self.labels

    def take(self, chosen: Any) -> tuple[Any, Any]:
        """The network's input for those at some indices, and their labels or None."""
        images: Any = self.images
        if isinstance(images, (ImageFiles, TFDSImages)):
            x = self._prepare_each(_read(images, np.asarray(chosen)))
        elif isinstance(images, list) and not isinstance(images[0], str):
            x = self._prepare_each(images[i] for i in chosen)
        elif isinstance(images, list):
            x = keras.ops.convert_to_tensor(self.stack.prepare([images[i] for i in chosen]))
        else:
            x = keras.ops.convert_to_tensor(self.stack.prepare(images[np.asarray(chosen)]))
        return x, None if self.labels is None else self.labels[np.asarray(chosen)]

    def _prepare_each(self, images):
        """The network's input for images each of which has its own size."""
        rows = [self.stack.prepare(np.asarray(image)[None]) for image in images]
        return keras.ops.concatenate([keras.ops.convert_to_tensor(row) for row in rows])

    def batches(self, size: int, progress: str | bool | None = None, order: Any = None):
        """Yields what `take` returns, batch after batch, with a progress bar of this title.

        Args:
            size: int.
            progress: the title of a progress bar, True for one without, or None for no bar.
            order: optional sequence of indices; batches of it are whole, and a rest is left out.
        """
        whole = order is not None and len(order) > size
        indices = np.arange(len(self)) if order is None else np.asarray(order)
        starts = range(0, len(indices) - size + 1 if whole else len(indices), size)
        title = bars.title(progress)
        for start in bars.progress(starts, description=title, unit="batches", hidden=title is None):
            yield self.take(indices[start : start + size])

    def batch_size(self, count_bytes: Any) -> int:
        """How many fit the memory.

        Args:
            count_bytes: function from the network's input for one of them to the bytes that its
                activations take.
        """
        x, _ = self.take([0])
        return int(max(1, min(MOST_BATCH, MEMORY // max(1, count_bytes(x)))))


def _read(images, chosen):
    """Yields images of files or of TFDS at some indices; those in a row are read together."""
    most = 1 if isinstance(images, ImageFiles) else DECODED
    for row in np.split(chosen, np.flatnonzero(np.diff(chosen) != 1) + 1):
        for start in range(row[0], row[-1] + 1, most):
            yield from images[start : min(start + most, row[-1] + 1)]
