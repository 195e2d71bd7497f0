"""Resizing, cropping and normalization of images, as PIL and torchvision do it."""

import math

import keras
import keras_hub

from keras_unrolled import checks
from keras_unrolled.models.image_backbone import ImageBackbone
from keras_unrolled.preset_names import Named

MOST_PIXELS = 16_384  # of a side
LARGEST_RESIZED = 2**22  # pixels that an image is resized to as a whole
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "lanczos3", "lanczos5")
REACH = 512  # pixels in which a thin image's part may begin and end


class ResizeAndCrop(keras.layers.Resizing):
    """Resizes an image with its proportions kept, then cuts out the center.

    The shorter side becomes `size / crop_fraction` and the window of `size` at the center is
    kept, with the roundings of torchvision and timm: a published accuracy depends on them.
    With `crop_to_aspect_ratio=False` both sides are resized to `size / crop_fraction`, whatever
    the proportions.

    Takes `crop_fraction` and the arguments of `keras.layers.Resizing`.
    """

    def __init__(self, height, width, crop_fraction=1.0, **kwargs):
        super().__init__(height, width, **kwargs)
        self.crop_fraction = crop_fraction
        self.built = True  # it has no weights; `quantize` asks

    @property
    def full_size(self):
        """`(height, width)` that the image must cover before the center is cut out."""
        return tuple(math.floor(size / self.crop_fraction) for size in (self.height, self.width))

    def call(self, images):
        # Keras's own has `training=True`, which would be the mode of every layer after this one.
        return self.transform_images(self.backend.convert_to_tensor(images))

    def transform_images(self, images, transformation=None, training=True):
        xp = self.backend
        height, width = xp.shape(images)[-3:-1]
        full_height, full_width = self.resized_size(height, width)
        sizes = (full_height, full_width, height, width)
        known = all(isinstance(size, int) for size in sizes)
        top = _half_to_even(full_height - self.height)
        left = _half_to_even(full_width - self.width)
        usual = self.full_size[0] * self.full_size[1]
        if known and full_height * full_width > max(LARGEST_RESIZED, 4 * usual):
            # A thin image: most of what would be resized is cut off afterwards.
            a, b, full_height, top = _find_piece(height, full_height, top, self.height)
            c, d, full_width, left = _find_piece(width, full_width, left, self.width)
            images, height, width = images[..., a:b, c:d, :], b - a, d - c
        if not known or (full_height, full_width) != (height, width):
            resized = xp.image.resize(
                images,
                size=(full_height, full_width),
                interpolation=self.interpolation,
                antialias=self.antialias,
                data_format="channels_last",
            )
            # As an image library rounds; also floats, which Keras makes of whole numbers
            # inside a pipeline of tf.data: the same image has the same scores everywhere.
            images = xp.cast(xp.numpy.clip(xp.numpy.round(resized), 0, 255), images.dtype)
        return images[..., top : top + self.height, left : left + self.width, :]

    def get_config(self):
        return {**super().get_config(), "crop_fraction": self.crop_fraction}

    def resized_size(self, height, width):
        """`(height, width)` that an image of a size is resized to before its center is cut out."""
        full_height, full_width = self.full_size
        if not self.crop_to_aspect_ratio:
            return full_height, full_width
        if isinstance(height, int) and isinstance(width, int):
            if height * full_width <= width * full_height:
                return full_height, int(full_height * width / height)
            return int(full_width * height / width), full_width
        import tensorflow as tf  # sizes are known when the graph runs: a tf.data pipeline

        def scaled(size, over, under):
            return tf.cast(tf.cast(size * over, "float64") / tf.cast(under, "float64"), "int32")

        flat = height * full_width <= width * full_height
        return (
            tf.where(flat, full_height, scaled(full_width, height, width)),
            tf.where(flat, scaled(full_height, width, height), full_width),
        )


def _find_piece(size, full, start, window):
    """The part of a side whose resizing holds a window of the whole side's.

    Args:
        size: int, pixels of the side.
        full: int, pixels that it is resized to.
        start: int, first pixel of the window after that.
        window: int, pixels of the window.

    Returns:
        First and last pixel (exclusive) of the part, pixels that it is resized to, and the first
        pixel of the window after that. The part begins and ends where its resizing is as nearly as
        possible a piece of the whole's.
    """
    scale = full / size
    margin = 3 * max(1.0, 1 / scale) + 1  # what the widest filter, bicubic, reads beyond
    low = max(0, math.floor(start / scale - margin))
    high = min(size, math.ceil((start + window) / scale + margin))

    def off(length):
        return round(abs(length * scale - round(length * scale)), 3)

    first = min(range(max(0, low - REACH), low + 1), key=lambda a: (off(a), -a))
    last = min(range(high, min(size, high + REACH) + 1), key=lambda b: (off(b - first), b))
    return first, last, round((last - first) * scale), start - round(first * scale)


def _half_to_even(margin):
    """`round(margin / 2)` of Python, for whole numbers and tensors."""
    return (margin + (margin // 2) % 2) // 2


@keras.saving.register_keras_serializable(package="keras_unrolled")
class ImageConverter(Named, keras_hub.layers.ImageConverter):
    """Resizes, crops the center and normalizes: `x * scale + offset`, channel by channel.

    Args:
        image_size: `(height, width)` of the output, or None to keep the size.
        crop_fraction: float in (0, 1]. The image is first resized until its shorter side is
            `image_size / crop_fraction`, then its center is cut out: 0.875 makes 224 of
            256, the usual evaluation on ImageNet (He et al. 2015).
        **kwargs: of `keras_hub.layers.ImageConverter`: scale, offset, interpolation,
            antialias, and crop_to_aspect_ratio, False for an image that is squeezed.

    Input: uint8 or float images of any size on a scale of 0 to 255, `(height, width, 3)` or a
    batch of them; what is resized is rounded to whole numbers, as image libraries do. Output:
    float32 images of `image_size`, which differ from those of PIL (timm, torchvision) by less
    than half a gray level on the average.

    Raises:
        InputError: if `crop_fraction` is outside (0, 1], a size or the interpolation is invalid, or
            padding is requested.

    Example:
        >>> import numpy as np
        >>> import keras_unrolled as ku
        >>> converter = ku.models.ImageConverter(image_size=(32, 32), crop_fraction=0.875)
        >>> tuple(converter(np.zeros((1, 60, 80, 3), "uint8")).shape)
        (1, 32, 32, 3)
    """

    backbone_cls = ImageBackbone
    resizing: keras.layers.Resizing

    def __init__(self, image_size=None, crop_fraction=1.0, **kwargs):
        checks.real("crop_fraction", crop_fraction, least=0.01, most=1)
        if image_size is not None:
            image_size = tuple(
                checks.whole("image_size", size, least=1, most=MOST_PIXELS) for size in image_size
            )
        if kwargs.get("pad_to_aspect_ratio"):
            raise checks.InputError(
                "Expected an image to be cropped or squeezed to its size. Received: "
                "pad_to_aspect_ratio=True. Leave it out, or pad before."
            )
        checks.one_of("interpolation", kwargs.get("interpolation", "bilinear"), INTERPOLATIONS)
        kwargs.setdefault("data_format", "channels_last")
        super().__init__(image_size=image_size, **kwargs)
        self.crop_fraction = crop_fraction
        self.resizing.built = True  # KerasHub's own, which crops before it resizes: not used
        self.resizing = ResizeAndCrop(
            image_size[0] if image_size else None,
            image_size[1] if image_size else None,
            crop_fraction=crop_fraction,
            interpolation=self.interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="resizing",
        )

    def get_config(self):
        return {**super().get_config(), "crop_fraction": self.crop_fraction}
