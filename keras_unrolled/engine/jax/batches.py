"""What the steps of a call read on JAX: images kept on the device, or batches sent to it.

Both kinds make blocks of some steps, arrays `(steps_per_call, parts, n, ...)` of which a call may
use the first ones only, and read inputs and targets of one part of a block.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.data.text_batches import TextBatches
from keras_unrolled.engine.jax.sharding import divided, replicated

ROOM = 0.5  # of a device's memory, for the data at most


def make_batches(job, mesh):
    """The batches of a job: `DeviceText`, `DeviceImages` if they fit the device, or `Streamed`."""
    stream = job.stream
    if isinstance(stream, TextBatches):
        return DeviceText(job, mesh)
    if not isinstance(stream, ImageBatches) or not stream.fits_device:
        return Streamed(job, mesh)
    reason = explain_streaming(stream.images.nbytes, mesh.devices.flat[0])
    if reason is not None:
        print(reason, file=sys.stderr)
        return Streamed(job, mesh)
    return DeviceImages(job, mesh)


def explain_streaming(size, device):
    """A message if a device has too little memory for `size` bytes of images, else None."""
    limit = (device.memory_stats() or {}).get("bytes_limit")  # unknown for a CPU
    if limit is None or size <= ROOM * limit:
        return None
    return (
        f"The images take {size / 2**30:.1f} GiB, and the device has {limit / 2**30:.1f} GiB: they "
        "are sent to it batch by batch."
    )


class DeviceImages:
    """The whole data in the device's memory, cropped and flipped there."""

    def __init__(self, job, mesh):
        self.source, self.parts, self.preprocess = job.stream, job.recipe.accumulate, job.preprocess
        self.sharding = divided(mesh, 2)
        self.table = jax.device_put((self.source.images, self.source.labels), replicated(mesh))
        self.steps_per_call = _steps_per_call(mesh, 100)

    def block(self, step, count):
        """The draws of some steps, of which `count` are wanted."""
        rows = [self.source.draw(step + min(i, count - 1)) for i in range(self.steps_per_call)]
        return jax.device_put(tuple(map(self._divide, zip(*rows))), self.sharding)

    def _divide(self, rows):
        rows = np.stack(rows)
        return rows.reshape(len(rows), self.parts, -1, *rows.shape[2:])

    def read(self, table, numbers, crops):
        """Inputs and targets of one part, in a jitted function."""
        images, labels = table
        inputs = self._crop(images, numbers, crops) if self.source.shift_flip else images[numbers]
        inputs = self.source.preprocess(inputs)
        return inputs if self.preprocess is None else self.preprocess(inputs), labels[numbers]

    def _crop(self, images, numbers, crops):
        """As `data.augment.crop_flip`, without the padded image."""
        height, width = images.shape[1:3]
        top, left, flip = (crops[:, i, None] for i in range(3))
        columns = jnp.arange(width)[None]
        rows = top + jnp.arange(height)[None] - self.source.pad
        columns = left + jnp.where(flip == 1, width - 1 - columns, columns) - self.source.pad
        rows, columns = _mirror(rows, height), _mirror(columns, width)
        return images[numbers[:, None, None], rows[:, :, None], columns[:, None, :]]


def _mirror(places, size):
    """Places beyond `size` pixels as those of the mirrored image."""
    places = jnp.abs(places)
    return jnp.where(places < size, places, 2 * (size - 1) - places)


class DeviceText:
    """A text in the device's memory."""

    def __init__(self, job, mesh):
        self.source, self.parts = job.stream, job.recipe.accumulate
        self.sharding = replicated(mesh)
        self.table = jax.device_put(self.source.table, self.sharding)
        self.steps_per_call = _steps_per_call(mesh, 100)

    def block(self, step, count):
        """Where the batches of some steps begin, of which `count` are wanted."""
        steps = step + np.minimum(np.arange(self.steps_per_call), count - 1)
        begin = np.repeat(self.source.begin(steps)[:, None], self.parts, 1).astype("int32")
        return (jax.device_put(begin, self.sharding),)

    def read(self, table, begin):
        """Words and those that follow them, in a jitted function."""
        shape = (len(table), self.source.length + 1)
        words = jax.lax.dynamic_slice(table, (0, begin), shape)
        return words[:, :-1], words[:, 1:]


class Streamed:
    """Batches of a `tf.data` pipeline."""

    table = ()

    def __init__(self, job, mesh):
        self.job, self.sharding = job, divided(mesh, 2)
        self.parts, self.preprocess = job.recipe.accumulate, job.preprocess
        self.rows, self.step = iter(()), None
        self.steps_per_call = _steps_per_call(mesh, 5)

    def block(self, step, count):
        """The batches of some steps, of which `count` are wanted."""
        if step != self.step:
            self.rows = iter(())
        taken = [[self._take(step + i) for _ in range(self.parts)] for i in range(count)]
        self.step = step + count
        taken += taken[-1:] * (self.steps_per_call - count)
        block = tuple(np.stack([[part[i] for part in row] for row in taken]) for i in (0, 1))
        return jax.device_put(block, self.sharding)

    def _take(self, step):
        row = next(self.rows, None)
        if row is None:  # at the start, and where the size of crops changes
            self.rows = iter(self.job.stream(step, parts=self.parts))
            row = next(self.rows)
        return [np.asarray(tensor) for tensor in row]

    def read(self, table, inputs, targets):
        """Inputs and targets of one part, in a jitted function."""
        return inputs if self.preprocess is None else self.preprocess(inputs), targets


def _steps_per_call(mesh, most):
    # In a loop XLA's convolutions on a CPU are a hundred times slower than outside of it.
    return 1 if mesh.devices.flat[0].platform == "cpu" else most
