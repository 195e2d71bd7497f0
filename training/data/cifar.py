"""CIFAR-10 as a stream of batches that depends on nothing but the seed and the step."""

import tensorflow as tf

PAD = 4  # He et al. 2015, section 4.2


def pad_crop_flip(images, seed):
    """Pads by 4 zeros, crops back at random, flips half of the images left to right.

    Args:
        images: tensor `(batch, height, width, channels)` of any dtype.
        seed: int tensor of shape `(2,)`; the same seed gives the same result.

    Returns:
        A tensor of the same shape and dtype.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    seeds = tf.random.split(seed, 3)
    top = tf.random.stateless_uniform((batch, 1), seeds[0], 0, 2 * PAD + 1, tf.int32)
    left = tf.random.stateless_uniform((batch, 1), seeds[1], 0, 2 * PAD + 1, tf.int32)
    flip = tf.random.stateless_uniform((batch, 1), seeds[2], 0, 2, tf.int32)
    padded = tf.pad(images, [(0, 0), (PAD, PAD), (PAD, PAD), (0, 0)])
    rows = top + tf.range(height)
    columns = tf.range(width)
    columns = left + tf.where(flip == 1, width - 1 - columns, columns)
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def make_stream(images, labels, *, batch_size, total_steps, seed, augment, preprocess):
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

    Returns:
        `stream(step)`, a `tf.data.Dataset` of `(images, labels)`.
    """
    count = len(images)
    steps_per_epoch = count // batch_size
    images, labels = tf.constant(images), tf.constant(labels, tf.int32)

    def batch(step):
        step = tf.cast(step, tf.int32)
        epoch, position = step // steps_per_epoch, step % steps_per_epoch
        order = tf.random.experimental.stateless_shuffle(tf.range(count), [seed, epoch])
        chosen = order[position * batch_size : (position + 1) * batch_size]
        x, y = tf.gather(images, chosen), tf.gather(labels, chosen)
        x.set_shape((batch_size, *x.shape[1:]))
        if augment:
            # A seed that no epoch's permutation has.
            x = pad_crop_flip(x, tf.stack([seed, -1 - step]))
        return preprocess(x), y

    def stream(start):
        dataset = tf.data.Dataset.range(start, total_steps)
        dataset = dataset.map(batch, num_parallel_calls=2, deterministic=True)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return dataset.prefetch(4).with_options(options)

    return stream
