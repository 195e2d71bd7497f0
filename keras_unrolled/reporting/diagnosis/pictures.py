"""Single pictures of a data set: reading, hashing and shrinking them."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

SIDE = 8  # of the grid of a hash
THUMBNAIL = 32  # pixels of a side of a thumbnail
LARGEST = 160  # pixels of the longer side of a picture on a page


def name_pictures(images: Any) -> list[str]:
    """What to call each picture: its file within the data, or its number in the data, from 0."""
    if isinstance(images, np.ndarray):
        return [str(i) for i in range(len(images))]
    return list(images.keys())


def read_pictures(images: Any, numbers: Sequence[int]) -> list[np.ndarray]:
    """The pictures with some numbers, each of its own size.

    Args:
        images: array `(n, height, width, channels)`, `ImageFiles` or `TFDSImages`.
        numbers: list of ints.

    Returns:
        A list of arrays `(height, width, channels)`.
    """
    known = {i: images[i : i + 1][0] for i in sorted(set(map(int, numbers)))}
    return [known[int(i)] for i in numbers]


def to_picture(image: np.ndarray) -> Any:
    """A picture of Pillow, grey or of three colors, of an array on a scale of 0 to 255."""
    from PIL import Image

    pixels = np.clip(np.rint(image), 0, 255).astype("uint8")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] < 3 else pixels[..., :3])


def hash_picture(image: np.ndarray) -> int:
    """The difference hash of a picture, 64 bits that change little where it is scaled or recompressed.

    The picture in grey is shrunk to 9 x 8; a bit tells whether a pixel is brighter than its left
    neighbor. Row by row, the first one is the highest bit.

    Args:
        image: array `(height, width, channels)` on a scale of 0 to 255.

    Returns:
        An int from 0 to 2**64 - 1.
    """
    from PIL import Image

    small = to_picture(image).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small)
    return int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes())


def shrink_picture(image: np.ndarray) -> np.ndarray:
    """A thumbnail in grey, whatever the shape of the picture.

    Args:
        image: array `(height, width, channels)` on a scale of 0 to 255.

    Returns:
        uint8 array `(32, 32)`.
    """
    from PIL import Image

    size = THUMBNAIL, THUMBNAIL
    return np.asarray(to_picture(image).convert("L").resize(size, Image.Resampling.LANCZOS))


def to_png(image: np.ndarray, largest: int = LARGEST) -> bytes:
    """A picture as a PNG, shrunk if a side is longer than `largest` pixels."""
    picture = to_picture(image)
    picture.thumbnail((largest, largest))
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()


def encode_pictures(images: Any, numbers: Sequence[int]) -> dict[int, bytes]:
    """PNGs of pictures, as of `read_pictures`, by their number."""
    return {i: to_png(picture) for i, picture in zip(numbers, read_pictures(images, numbers))}
