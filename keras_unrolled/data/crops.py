"""Decoding of encoded images in a TensorFlow graph, and random crops of them."""

import tensorflow as tf

# Szegedy et al. 2015, section 6: the area of an image that a crop covers, and its proportions.
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


def decode(encoded):
    """A whole image as uint8 `(height, width, 3)`; grayscale and CMYK are converted."""
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, try_recover_truncated=True),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def make_normalizer(converter):
    """The last step of an `ImageConverter`, for crops that have their size already.

    Returns:
        A function from uint8 images `(n, height, width, 3)` to float32 images.
    """
    scale = tf.constant(1.0 if converter.scale is None else converter.scale, "float32")
    offset = tf.constant(0.0 if converter.offset is None else converter.offset, "float32")
    return lambda images: tf.cast(images, "float32") * scale + offset


def random_crop(encoded, seed, size, area=AREA):
    """A random part of an image, resized, and flipped half of the time.

    Only that part of a JPEG is decoded.

    Args:
        encoded: string tensor.
        seed: int tensor of shape `(2,)`; the same seed gives the same crop.
        size: int, side of the result in pixels.
        area: smallest and largest part of the image.

    Returns:
        uint8 tensor `(size, size, 3)`.
    """

    def window(shape):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            tf.zeros((1, 0, 4)),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=ASPECT,
            area_range=area,
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], extent[:2]], 0)

    def crop_jpeg():
        box = window(tf.io.extract_jpeg_shape(encoded))
        return tf.io.decode_and_crop_jpeg(encoded, box, channels=3, try_recover_truncated=True)

    def crop_other():
        image = decode(encoded)
        top, left, height, width = tf.unstack(window(tf.shape(image)))
        return image[top : top + height, left : left + width]

    image = tf.cond(tf.io.is_jpeg(encoded), crop_jpeg, crop_other)
    image = tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (size, size))
    image = tf.cast(tf.round(image), tf.uint8)
    # Not [:, ::-1], which takes as long as a third of the decoding.
    flip = tf.random.stateless_uniform((), seed + tf.constant([1 << 20, 0], seed.dtype)) < 0.5
    return tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)
