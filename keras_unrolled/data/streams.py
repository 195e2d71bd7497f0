"""Images in memory as a stream of batches that depends on nothing but the seed and the step."""

import tensorflow as tf

PAD = 4  # pixels: He et al. 2015, section 4.2


def pad_crop_flip(images, seed, first=0, batch=None, pad=PAD):
    """Pads with the mirrored image, crops back at random, flips half of the images left to right.

    A border of zeros would be in the statistics of batch normalisation, and in no test image.

    Args:
        images: tensor `(n, height, width, channels)` of any dtype.
        seed: int tensor of shape `(2,)`; the same seed gives the same result.
        pad: int, pixels on each side, fewer than the image has.
        first: int or tensor, where in its batch the first of these images stands.
        batch: int, examples of the whole batch, None for n. A part of a batch is treated as
            it would be in the whole.

    Returns:
        A tensor of the same shape and dtype.
    """
    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    seeds = tf.random.split(seed, 3)

    def draw(i, most):
        numbers = tf.random.stateless_uniform((batch or count, 1), seeds[i], 0, most, tf.int32)
        return numbers[first : first + count]

    top, left, flip = draw(0, 2 * pad + 1), draw(1, 2 * pad + 1), draw(2, 2)
    padded = tf.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)], "REFLECT")
    rows = top + tf.range(height)
    columns = tf.range(width)
    columns = left + tf.where(flip == 1, width - 1 - columns, columns)
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def make_stream(images, labels, *, batch_size, total_steps, seed, augment, preprocess, pad=PAD):
    """A function from a step to the dataset that starts there.

    Each epoch is a permutation of the examples; what does not fill a batch is left out of
    it. Permutation, crops and flips are functions of seed, epoch and step alone.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        labels: int array `(n,)`.
        batch_size: int.
        total_steps: int, where the stream ends.
        seed: int.
        augment: bool, whether to pad, crop and flip.
        preprocess: function from uint8 images to the network's input.
        pad: int, pixels to pad by.

    Returns:
        `stream(step, parts=1, worker=0, workers=1)`, a `tf.data.Dataset` of `(images, labels)`:
        batch after batch, each divided into `parts`, one after the other, of which this is
        what the `worker` of several `workers` sees.
    """
    count = len(images)
    steps_per_epoch = count // batch_size
    images, labels = tf.constant(images), tf.constant(labels, tf.int32)

    def piece(i, parts, worker, workers):
        i = tf.cast(i, tf.int32)
        step, part = i // parts, i % parts
        epoch, position = step // steps_per_epoch, step % steps_per_epoch
        size = batch_size // parts // workers
        first = part * (batch_size // parts) + worker * size
        order = tf.random.experimental.stateless_shuffle(tf.range(count), [seed, epoch])
        begin = position * batch_size + first
        chosen = order[begin : begin + size]
        x, y = tf.gather(images, chosen), tf.gather(labels, chosen)
        x.set_shape((size, *x.shape[1:]))
        if augment:
            # A seed that no epoch's permutation has.
            x = pad_crop_flip(x, tf.stack([seed, -1 - step]), first, batch_size, pad)
        return preprocess(x), y

    def stream(start, parts=1, worker=0, workers=1):
        dataset = tf.data.Dataset.range(start * parts, total_steps * parts)
        return dataset.map(
            lambda i: piece(i, parts, worker, workers), num_parallel_calls=2, deterministic=True
        ).prefetch(4)

    return stream
