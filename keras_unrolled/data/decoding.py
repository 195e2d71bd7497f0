"""Image files to pixels: which formats and modes are read, and how."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path) -> np.ndarray:
    """One image file as a uint8 array `(height, width, 3)`, turned as its EXIF orientation says.

    Grayscale, palette and CMYK are converted to RGB, transparency is dropped, and 16-bit grayscale
    is divided by 257.

    Raises:
        InputError: if the file is missing or does not decode.
    """
    check_exists(path)
    return decode_image(path, path)


def check_exists(path: str | Path) -> None:
    """Raises `InputError` if there is no file at a path. A pipe or a device is none."""
    if not Path(path).is_file():
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
        orientation = read_orientation(image)
        image = _to_rgb(image)
        return np.asarray(image.transpose(_TURNS[orientation]) if orientation in _TURNS else image)


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
            image.load()
            _check_depth(image, raw)
            if image.mode not in ("RGB", "L"):
                _to_rgb(image)
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
    """Rejects what Pillow reads as 8 bits without a word, but perhaps not as the right ones."""
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
    """An image in RGB, if its values are known to be 8 or 16 bits deep."""
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if deep:
        values = np.asarray(image).astype("int64")
        if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == 0:  # white is 0
            values = 65_535 - values
        _reject_dark(image.mode, values.max(initial=0))
        image = Image.fromarray(((values + 128) // 257).astype("uint8"))
    elif image.mode[0] in "IF":
        raise ValueError(f"mode {image.mode}, whose range is unknown; save it with 8 bits")
    return image if image.mode == "RGB" else image.convert("RGB")
