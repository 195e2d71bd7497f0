"""Image files to pixels: which formats and modes are read, and how."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from keras_unrolled import checks

# Pillow's decoders that may run, with the suffixes of their files. It has others, some of which
# start programs (EPS) or are seldom tested; a suffix does not decide which one reads a file.
FORMATS = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpeg", ".jpg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    **({"AVIF": (".avif",)} if features.check("avif") else {}),
}
SUFFIXES = tuple(sorted(suffix for suffixes in FORMATS.values() for suffix in suffixes))
MOST_PIXELS = 2**26  # of an image, which take 200 MB in memory
ORIENTATION = 0x0112  # the EXIF tag
PHOTOMETRIC, SAMPLE_FORMAT = 262, 339  # tags of TIFF
# What turns an array as each orientation says.
_TURNS = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
STRIP = 2**20  # pixels that are converted at once
LARGE = 2**23  # pixels from which images are checked one after the other
_one_large = threading.Lock()


def read_image(path: str | Path) -> np.ndarray:
    """One image file as a uint8 array `(height, width, 3)`, turned as its EXIF orientation says.

    Grayscale, palette and CMYK are converted to RGB, transparency is dropped, and 16-bit grayscale
    is divided by 257.

    Raises:
        InputError: if the file is missing or does not decode.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> import keras_unrolled as ku
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("L", (40, 30)).save(file.name)
        ...     ku.data.read_image(file.name).shape
        (30, 40, 3)
    """
    check_exists(path)
    return decode_image(path, path)


def check_exists(path: str | Path) -> None:
    """Raises `InputError` if there is no file at a path. A pipe or a device is none."""
    if not os.path.isfile(path):
        raise checks.InputError(
            f"Expected an image file. Found none at {path}. Check the path; "
            f"{', '.join(SUFFIXES)} files can be read."
        )


def decode_image(file: str | Path | BinaryIO, name: Any) -> np.ndarray:
    """An encoded image as `read_image` gives it; `name` is what a message calls it."""
    with _opened(file, name) as image:
        raw = _find_layout(image)
        image.load()
        _check_depth(image, raw)
        turn = _TURNS.get(read_orientation(image), np.asarray)
        return turn(_to_rgb(image))


def check_image(path: str | Path) -> str | None:
    """Decodes an image file without keeping it.

    A JPEG is decoded at a fraction of its size, which reads all of it in a fraction of the time.

    Returns:
        None, or a string that names the file and what is wrong with it.
    """
    try:
        check_exists(path)
        with _opened(path, path) as image:
            image.draft("RGB", (64, 64))
            raw = _find_layout(image)
            large = image.width * image.height > LARGE
            with _one_large if large else nullcontext():
                image.load()
                _check_depth(image, raw)
                _find_conversion(image)
    except checks.InputError as error:
        return (
            f"{path} does not decode ({_reason(error.__cause__)})"
            if error.__cause__
            else str(error)
        )
    return None


@contextmanager
def _opened(file, name) -> Iterator[Image.Image]:
    """An open image whose decoder's errors are reported as `InputError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's own limit, and of damaged metadata
            with Image.open(file, formats=list(FORMATS)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(
                        f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}"
                    )
                yield image
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise checks.InputError(
            f"Expected an image that decodes. {name} does not ({_reason(error)}). Fix or remove it."
        ) from error


def _reason(error):
    if isinstance(error, UnidentifiedImageError):  # it would name the file again
        return f"none of {', '.join(FORMATS)}"
    return str(error) or type(error).__name__


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or the block is damaged."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # as above
        return 1
    return orientation if orientation in _TURNS else 1


def _find_layout(image):
    """Pillow's name of the pixels' layout in the file, such as "RGB;16B"; gone once it is loaded."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _check_depth(image, raw):
    """Rejects what Pillow silently reads as 8 bits, but perhaps not as the right ones."""
    is_cut = image.mode[0] not in "IF"
    if is_cut and image.format == "TIFF" and 2 in image.tag_v2.get(SAMPLE_FORMAT, ()):
        raise ValueError("pixels with a sign, whose range is unknown; save it with 8 bits")
    if is_cut and "16" in raw:  # it has kept the upper 8 bits
        extrema = image.getextrema()
        extrema = extrema if isinstance(extrema[0], tuple) else (extrema,)
        largest = max(high for band, (_, high) in zip(image.getbands(), extrema) if band != "A")
        _reject_dark(f"{image.mode} of 16 bits", 256 * largest + 255 if largest else 0)


def _reject_dark(mode, largest):
    if 0 < largest < 4096:  # as dark a picture, or one of 12 bits: nothing tells which
        raise ValueError(
            f"mode {mode} with values up to {largest} of 65,535, perhaps of fewer bits; save it with "
            "8 bits"
        )


def _to_rgb(image):
    """An image as a uint8 array `(height, width, 3)`, strip by strip: a whole copy takes memory."""
    convert = _find_conversion(image)
    pixels = np.empty((image.height, image.width, 3), "uint8")
    for box in _strips(image):
        pixels[box[1] : box[3]] = convert(image.crop(box))
    return pixels


def _find_conversion(image):
    """The function from a part of an image to RGB, if its values are known to be 8 or 16 bits deep."""
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if deep:
        white_is_zero = image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0

        def brightness(part):
            values = np.asarray(part).astype("int32")
            return 65_535 - values if white_is_zero else values

        _reject_dark(image.mode, max(brightness(image.crop(box)).max() for box in _strips(image)))
        return lambda part: ((brightness(part) + 128) // 257)[..., None]
    if image.mode[0] in "IF":
        raise ValueError(f"mode {image.mode}, whose range is unknown; save it with 8 bits")
    image.crop((0, 0, 1, 1)).convert("RGB")  # raises for a mode without such a conversion
    return lambda part: np.asarray(part if part.mode == "RGB" else part.convert("RGB"))


def _strips(image):
    """Boxes of whole rows that cover an image from top to bottom."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(image.height, top + rows)
