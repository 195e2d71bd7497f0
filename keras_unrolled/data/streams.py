"""Streams of training batches that depend on nothing but the seed and the step.

A stream is a function `stream(step, parts=1, worker=0, workers=1)` that returns a
`tf.data.Dataset` of `(inputs, targets)` that starts at that step: batch after batch, each divided
into `parts`, one after the other, of which it has what the `worker` of several `workers` sees. A
run that resumes, or has another number of workers, sees the images that an unbroken one would.
"""

import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.data import augment
from keras_unrolled.data.augment import crop_flip
from keras_unrolled.data.crops import random_crop

# Kinds of random draws; permutations of the epochs have seeds from 0 on.
_CROP, _RAND_AUGMENT, _MIX = 0, 1, 2


def stream_images(batches, start, parts=1, worker=0, workers=1):
    """The stream of an `ImageBatches`, from a step on."""
    size = batches.batch_size // parts // workers
    shape = batches.images.shape[1:]
    labels = tf.constant(batches.labels)
    augmented = batches.rand_augment
    operations = augment.make_operations(augmented) if augmented else None
    table = tf.constant(batches.images) if batches.in_memory else None
    answers = None if batches.answers is None else tf.constant(batches.answers)
    mixed = bool(batches.mixup or batches.cutmix)
    if mixed:
        _check_pairs(batches.batch_size, parts, workers)

    def take(chosen):
        if table is not None:
            return tf.gather(table, chosen)
        return tf.numpy_function(lambda i: batches.images[i], [chosen], tf.uint8, stateful=False)

    def piece(i):
        step, part = i // parts, tf.cast(i % parts, tf.int32)
        step = step if batches.period is None else step % batches.period
        first = part * (batches.batch_size // parts) + worker * size
        drawn = tf.numpy_function(batches.draw, [step], (tf.int32, tf.int32), stateful=False)
        chosen, crops = (tensor[first : first + size] for tensor in drawn)
        x, y = take(chosen), tf.gather(labels, chosen)
        x.set_shape((size, *shape))
        y.set_shape((size,))
        if batches.shift_flip:
            crops.set_shape((size, 3))
            x = crop_flip(x, crops, batches.pad)
        if operations is not None:
            number = step * batches.batch_size + tf.cast(first, tf.int64)
            x = _augment_each(x, batches.seed, number, operations)
        if mixed:
            mix_seed = _seed(batches.seed, _MIX, step)
            hot = tf.one_hot(y, batches.classes)
            x, y = augment.mix_pairs(x, hot, mix_seed, batches.mixup, batches.cutmix)
        if answers is not None:
            begin = step * batches.batch_size + tf.cast(first, tf.int64)
            y = answers[begin : begin + size]
            y.set_shape((size, answers.shape[-1]))
        return batches.preprocess(x), y

    dataset = tf.data.Dataset.range(start * parts, batches.total_steps * parts)
    return dataset.map(piece, num_parallel_calls=2, deterministic=True).prefetch(4)


def _augment_each(images, seed, number, operations):
    """RandAugment of each of some images, of which the first has this number in the stream."""
    numbers = number + tf.range(tf.shape(images)[0], dtype=tf.int64)
    return tf.map_fn(
        lambda pair: augment.rand_augment(pair[0], _seed(seed, _RAND_AUGMENT, pair[1]), operations),
        (images, numbers),
        fn_output_signature=tf.uint8,
    )


def crop_batches(source, recipe, classes=None):
    """Batches of random resized crops of encoded images.

    Each epoch is a permutation of the images; a last batch that would not be full is left out.
    Permutation, crops and all augmentation are functions of seed, epoch and step alone.

    Args:
        source: a source of `keras_unrolled.data.sources`.
        recipe: an `ImageRecipe`, of which batch_size, epochs, seed, sizes and augmentation count.
        classes: int, number of classes, needed where images are mixed.

    Returns:
        A stream of uint8 images and labels, which ends where the size of the crops changes.
        Labels are int32 `(batch,)`, or float `(batch, classes)` where images are mixed.

    Raises:
        InputError: on a call, if images cannot be mixed in pairs.
    """
    count, batch_size, repeats = len(source), recipe.batch_size, recipe.repeats
    per_epoch = count // batch_size
    distinct = -(-batch_size // repeats)
    operations = augment.make_operations(recipe.rand_augment) if recipe.rand_augment else None
    area = (recipe.smallest_area, 1.0)

    def epoch_numbers(epoch, parts, worker, workers):
        order = tf.random.experimental.stateless_shuffle(tf.range(count), [recipe.seed, epoch])
        positions = tf.range(per_epoch * batch_size)
        # Steps, parts of a batch, workers' shares of a part, images of a share.
        shape = (per_epoch, parts, workers, batch_size // parts // workers)
        positions = tf.reshape(tf.reshape(positions, shape)[:, :, worker], [-1])
        number = epoch * (per_epoch * batch_size) + tf.cast(positions, tf.int64)
        # Copies of an image are a part of the batch apart, so that it is never mixed with itself.
        chosen = positions // batch_size * distinct + positions % batch_size % distinct
        return tf.data.Dataset.from_tensor_slices((tf.gather(order, chosen), number))

    def load(i, number, size):
        encoded, label = source.read(i)
        crop = random_crop(encoded, _seed(recipe.seed, _CROP, number), size, area)
        if operations is not None:
            crop = augment.rand_augment(crop, _seed(recipe.seed, _RAND_AUGMENT, number), operations)
        return crop, label

    def mix(step, images, labels):
        seed = _seed(recipe.seed, _MIX, step)
        labels = tf.one_hot(labels, classes)
        return augment.mix_pairs(images, labels, seed, recipe.mixup, recipe.cutmix)

    def stream(start, parts=1, worker=0, workers=1):
        share = batch_size // parts // workers
        if recipe.mixes:
            _check_pairs(batch_size, parts, workers)
        epoch, step = divmod(start, per_epoch)
        size = recipe.size_of(epoch)
        last = epoch
        while last < recipe.epochs and recipe.size_of(last) == size:
            last += 1
        numbers = tf.data.Dataset.range(epoch, last).flat_map(
            lambda e: epoch_numbers(e, parts, worker, workers)
        )
        parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
        batches = (
            numbers.skip(step * parts * share)
            .map(lambda i, number: load(i, number, size), **parallel)
            .batch(share, drop_remainder=True)
        )
        if recipe.mixes:
            numbered = batches.enumerate(start * parts)
            batches = numbered.map(lambda i, pair: mix(i // parts, *pair), **parallel)
        return batches.prefetch(tf.data.AUTOTUNE)

    return stream


def stream_text(batches, start):
    """The stream of a `TextBatches`, from a step on."""
    table, length = tf.constant(batches.table), batches.length

    def piece(i):
        begin = tf.cast(batches.begin(i), tf.int32)
        words = table[:, begin : begin + length + 1]
        words.set_shape((table.shape[0], length + 1))
        return words[:, :-1], words[:, 1:]

    return tf.data.Dataset.range(start, batches.total_steps).map(piece).prefetch(4)


def _seed(seed, kind, number):
    """The seed of one kind of random draw for an image or step, int64 `(2,)`."""
    return tf.stack([tf.constant(seed + (kind << 40), tf.int64), -1 - number])


def _check_pairs(batch_size, parts, workers):
    if batch_size // parts // workers % 2:
        raise checks.InputError(
            "Expected an even number of images on each worker, since they are mixed in pairs. "
            f"Received: batch_size={batch_size}, {parts} parts, {workers} workers. Use a batch "
            f"that divides by {2 * parts * workers}."
        )
