"""Training batches of images of one size, in memory or in a memory-mapped file."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_unrolled.data import draws

PAD = 4  # pixels: He et al. 2015, section 4.2


def _same(images):
    return images


class ImageBatches:
    """Batches as functions of seed and step: a stream of `tf.data`, or draws for a device.

    Each epoch is a permutation of the examples; a last batch that would not be full is left out.

    Args:
        images: uint8 array `(n, height, width, channels)`; a `np.memmap`, or anything else that
            has a shape and is indexed by an array, stays where it is.
        labels: int array `(n,)`.
        batch_size: int.
        total_steps: int, where the stream ends.
        seed: int.
        shift_flip: bool, whether to pad, crop at random and flip.
        preprocess: function from uint8 images to the network's input.
        pad: int, pixels to pad by.
        rand_augment: float, magnitude of RandAugment; 0 for none.
        mixup, cutmix: float, alpha of mixup and CutMix; 0 for none.
        classes: int, number of classes, needed where images are mixed.
        period: optional int, steps after which the same batches come again.
        answers: optional float array `(period * batch_size, classes)`, the targets in place of the
            labels, in the order of the stream.

    Call: as in `keras_unrolled.data.streams`, with inputs and labels: int32 `(batch,)`, or float
    `(batch, classes)` where images are mixed and of `answers`. A call imports TensorFlow.

    Raises:
        InputError: on a call, if images cannot be mixed in pairs.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        *,
        batch_size: int,
        total_steps: int,
        seed: int,
        shift_flip: bool = True,
        preprocess: Callable[[Any], Any] = _same,
        pad: int = PAD,
        rand_augment: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        classes: int | None = None,
        period: int | None = None,
        answers: Any = None,
    ) -> None:
        self.images, self.labels = images, np.asarray(labels, "int32")
        self.batch_size, self.total_steps, self.seed = batch_size, total_steps, seed
        self.shift_flip, self.pad, self.preprocess = shift_flip, pad, preprocess
        self.rand_augment, self.mixup, self.cutmix = rand_augment, mixup, cutmix
        self.classes, self.period, self.answers = classes, period, answers

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the data."""
        return len(self.images) // self.batch_size

    @property
    def in_memory(self) -> bool:
        """Whether the images are an array in this process's memory."""
        return isinstance(self.images, np.ndarray) and not isinstance(self.images, np.memmap)

    @property
    def fits_device(self) -> bool:
        """Whether a device can hold the images and augment them by `draw` alone."""
        draws_more = self.rand_augment or self.mixup or self.cutmix or self.answers is not None
        return self.in_memory and not draws_more

    def draw(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of a step's examples, int32 `(batch,)`, and `draws.crop_draws` for them."""
        step = int(step) if self.period is None else int(step) % self.period
        epoch, position = divmod(step, self.steps_per_epoch)
        order = draws.epoch_order(self.seed, epoch, len(self.images))
        begin = position * self.batch_size
        crops = draws.crop_draws(self.seed, step, self.batch_size, self.pad)
        return order[begin : begin + self.batch_size], crops

    def __call__(self, start: int, parts: int = 1, worker: int = 0, workers: int = 1) -> Any:
        from keras_unrolled.data.streams import stream_images  # imports TensorFlow

        return stream_images(self, start, parts, worker, workers)
