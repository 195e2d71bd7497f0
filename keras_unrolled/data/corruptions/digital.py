"""What processing does to pictures."""

import io

import numpy as np
from PIL import Image

from keras_unrolled.data.corruptions import filters


def contrast(x, severity, generators):
    """Less contrast, around the mean of each channel."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    means = x.mean(axis=(1, 2), keepdims=True)
    return (x - means) * kept + means


def elastic_transform(x, severity, generators):
    """Bent pictures: three points are moved, and each pixel by a smooth random field."""
    size = x.shape[1]
    strength, sigma, shift = (
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity - 1]
    reach = size * shift
    moves = np.stack([g.uniform(-reach, reach, (3, 2)) for g in generators])
    fields = np.stack([g.uniform(-1, 1, (size, size, 2)) for g in generators])
    x = move_points(x, moves)
    bend = filters.gaussian(fields, size * sigma, truncate=3, border="symmetric") * size * strength
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    return filters.sample(x, rows + bend[..., 1], columns + bend[..., 0], "symmetric")


def move_points(x, moves):
    """Pictures under the affine maps that move three points around the middle.

    Args:
        x: float array `(n, size, size, channels)`.
        moves: float array `(n, 3, 2)`, of (26, 26), (26, 6) and (6, 6) in a picture of 32 pixels, in
            columns and rows.
    """
    size = x.shape[1]
    middle, third = size // 2, size // 3
    points = middle + third * np.array([[1, 1], [1, -1], [-1, -1]])
    ones = np.ones((len(x), 3, 1))
    # From a place in the new picture to the one in the old.
    moved = np.concatenate([points + moves, ones], axis=-1)
    back = np.linalg.solve(moved, np.broadcast_to(points.astype("float64"), moves.shape))
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    places = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ back[:, None]
    return filters.sample(x, places[..., 1], places[..., 0], "reflect")


def pixelate(x, severity, generators):
    """Fewer pixels."""
    size = x.shape[1]
    small = int(size * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])

    def resize(picture):
        picture = picture.resize((small, small), Image.Resampling.BOX)
        return picture.resize((size, size), Image.Resampling.BOX)

    return _each(x, resize)


def jpeg_compression(x, severity, generators):
    """JPEG of a low quality."""
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def compress(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _each(x, compress)


def _each(x, change):
    pictures = (Image.fromarray(picture) for picture in np.rint(x * 255).astype("uint8"))
    return np.stack([np.asarray(change(picture)) for picture in pictures]) / 255
