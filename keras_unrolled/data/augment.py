"""Augmentation, each a function of a seed, so that a resumed run sees the same images.

The layers are Keras's. Its `RandAugment`, `MixUp` and `CutMix` are not used: they draw from a
state that counts calls, the first computes all of its eleven operations for every image to keep
one, and the other two mix within what one device sees, so that several devices mix differently.
"""

import keras
import tensorflow as tf

LAYERS = 2  # operations per image: Cubuk et al. 2020, section 4.4
RANGE = (0, 255)


def crop_flip(images, draws, pad):
    """Pads with the mirrored image, crops back and flips, as drawn for each image.

    A border of zeros would enter the statistics of batch normalization and is in no test image.

    Args:
        images: tensor `(n, height, width, channels)` of any dtype.
        draws: int32 tensor `(n, 3)`, as `draws.crop_draws` makes them.
        pad: int, pixels on each side, fewer than the image has.

    Returns:
        A tensor of the same shape and dtype.
    """
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)], "REFLECT")
    top, left, flip = draws[:, 0:1], draws[:, 1:2], draws[:, 2:3]
    rows = top + tf.range(height)
    columns = tf.range(width)
    columns = left + tf.where(flip == 1, width - 1 - columns, columns)
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


class Draws(keras.random.SeedGenerator):
    """Seeds for a Keras layer that are functions of a tensor instead of a counting state.

    Args:
        seed: int tensor of shape `(2,)`.
    """

    def __init__(self, seed):  # no state, so nothing of the parent's
        self.seed, self.count = seed, 0

    def next(self, ordered=True):
        self.count += 1
        return tf.random.fold_in(self.seed, self.count)


def make_operations(magnitude):
    """The operations of RandAugment as Keras layers, from uint8's range to the same.

    Extents at magnitude 10: Cubuk et al. 2020 and, for colors, the "increasing" ones of
    timm's `inc1`.

    Args:
        magnitude: float in (0, 10].

    Returns:
        A list of layers.
    """
    layers, m = keras.layers, magnitude / 10
    blank = {"fill_mode": "constant", "fill_value": 128.0}
    return [
        layers.AutoContrast(value_range=RANGE),
        layers.Equalization(value_range=RANGE),
        layers.RandomRotation(30 / 360 * m, **blank),
        layers.RandomShear(0.3 * m, 0.0, **blank),
        layers.RandomShear(0.0, 0.3 * m, **blank),
        layers.RandomTranslation(0.45 * m, 0.0, **blank),
        layers.RandomTranslation(0.0, 0.45 * m, **blank),
        layers.RandomBrightness(0.9 * m, value_range=RANGE),
        layers.RandomContrast(0.9 * m, value_range=RANGE),
        layers.RandomColorDegeneration((0.0, 0.9 * m), value_range=RANGE),
        layers.RandomSharpness((0.0, 0.9 * m), value_range=RANGE),
        layers.RandomPosterization(max(1, round(8 - 4 * m)), value_range=RANGE),
        layers.Solarization(threshold_factor=(1 - m, 1 - m), value_range=RANGE),
    ]


def rand_augment(image, seed, operations):
    """Applies `LAYERS` operations drawn at random (RandAugment, Cubuk et al. 2020).

    Args:
        image: uint8 tensor `(height, width, 3)`.
        seed: int tensor of shape `(2,)`; the same seed gives the same result.
        operations: list of layers, as `make_operations` makes them.

    Returns:
        uint8 tensor of the same shape.
    """
    shape = image.shape
    image = tf.cast(image, "float32")

    def branch(layer, image, own):
        def apply():
            draws = Draws(own)
            layer._get_seed_generator = lambda backend=None: draws
            return tf.reshape(tf.cast(layer(image, training=True), "float32"), tf.shape(image))

        return apply

    for i in range(LAYERS):
        own = tf.random.fold_in(seed, i)
        chosen = tf.random.stateless_uniform((), own, 0, len(operations), tf.int32)
        image = tf.switch_case(chosen, [branch(layer, image, own) for layer in operations])
    image = tf.cast(tf.round(tf.clip_by_value(image, *RANGE)), "uint8")
    return tf.ensure_shape(image, shape)


def mix_pairs(images, labels, seed, mixup, cutmix):
    """Mixes each image with its neighbor: all by mixup or all by CutMix, half of the time each.

    The neighbor is the other one of two consecutive images, a random image since the order is
    random; so a batch is mixed in the same way however it is divided into even parts. As in
    Wightman et al. 2021 (appendix A) there is one proportion for a whole batch.

    Args:
        images: uint8 tensor `(n, height, width, channels)`, n even.
        labels: float tensor `(n, classes)`.
        seed: int tensor of shape `(2,)`; the same seed gives the same result.
        mixup: float, alpha of the Beta distribution of mixup's proportion (Zhang et al. 2018).
        cutmix: float, alpha of CutMix's (Yun et al. 2019); 0 switches either of them off.

    Returns:
        Images and labels of the same shapes and dtypes.
    """
    images, labels = tf.convert_to_tensor(images), tf.convert_to_tensor(labels)
    seeds = tf.unstack(tf.random.split(seed, 6))

    def pair(x):
        shape = tf.shape(x)
        swapped = tf.reverse(tf.reshape(x, tf.concat([[-1, 2], shape[1:]], 0)), [1])
        return tf.reshape(swapped, shape)

    def proportion(alpha, a, b):
        one, other = (tf.random.stateless_gamma((), s, alpha) for s in (a, b))
        return one / (one + other)

    def blend(x, kept):
        y = kept * tf.cast(x, "float32") + (1 - kept) * tf.cast(pair(x), "float32")
        return tf.cast(tf.round(y) if x.dtype.is_integer else y, x.dtype)

    def by_mixup():
        kept = proportion(mixup, seeds[0], seeds[1])
        return blend(images, kept), blend(labels, kept)

    def by_cutmix():
        height, width = tf.unstack(tf.shape(images)[1:3])
        side = tf.sqrt(1 - proportion(cutmix, seeds[2], seeds[3]))
        sizes = tf.cast(tf.stack([height, width]), "float32")
        center = tf.random.stateless_uniform((2,), seeds[4]) * sizes
        low = tf.cast(tf.maximum(center - side * sizes / 2, 0.0), "int32")
        high = tf.cast(tf.minimum(center + side * sizes / 2, sizes), "int32")
        rows, columns = tf.range(height)[:, None], tf.range(width)[None]
        inside = (rows >= low[0]) & (rows < high[0]) & (columns >= low[1]) & (columns < high[1])
        # The box ends at the border: its actual share counts.
        kept = 1 - tf.reduce_mean(tf.cast(inside, "float32"))
        return tf.where(inside[None, :, :, None], pair(images), images), blend(labels, kept)

    if not (mixup and cutmix):
        return by_mixup() if mixup else by_cutmix()
    return tf.cond(tf.random.stateless_uniform((), seeds[5]) < 0.5, by_mixup, by_cutmix)
