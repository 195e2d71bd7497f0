"""Filters of batches of pictures `(n, height, width, channels)`, float."""

from typing import Literal

import numpy as np

# Names of NumPy for what is beyond the border: "edge" repeats the last pixel, "reflect" mirrors at it, and
# "symmetric" mirrors at its outer side.
Border = Literal["edge", "reflect", "symmetric"]


def gaussian(x: np.ndarray, sigma: float, *, truncate: float = 4.0, border: Border = "edge"):
    """Pictures blurred by a Gaussian.

    Args:
        x: float array `(n, height, width, channels)`.
        sigma: float, in pixels; 0 for none.
        truncate: float, where the Gaussian ends, in sigmas.
        border: Bordering, as `numpy.pad` has it.
    """
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return x
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return correlate(x, np.outer(weights, weights), border)


def correlate(x: np.ndarray, kernel: np.ndarray, border: Border):
    """Pictures correlated with a kernel `(k, l)` of odd sizes, channel by channel."""
    high, wide = (size // 2 for size in kernel.shape)
    padded = np.pad(x, ((0, 0), (high, high), (wide, wide), (0, 0)), mode=border)
    result = np.zeros_like(x)
    for i, j in np.argwhere(kernel):
        result += kernel[i, j] * padded[:, i : i + x.shape[1], j : j + x.shape[2]]
    return result


def sample(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, border: Border):
    """Pictures read between their pixels, bilinearly.

    Args:
        x: float array `(n, height, width, channels)`.
        rows, columns: float arrays `(n, h, w)`, where to read.
        border: "reflect" or "symmetric".
    """
    upper, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - upper)[..., None], (columns - left)[..., None]
    pictures = np.arange(len(x))[:, None, None]

    def read(i, j):
        return x[pictures, fold(i, x.shape[1], border), fold(j, x.shape[2], border)]

    above = read(upper, left) * (1 - right) + read(upper, left + 1) * right
    below = read(upper + 1, left) * (1 - right) + read(upper + 1, left + 1) * right
    return above * (1 - down) + below * down


def fold(index: np.ndarray, size: int, border: Border):
    """Indices within `0..size-1` that indices beyond the border stand for."""
    if border == "reflect":
        index = index % (2 * size - 2)
        return np.minimum(index, 2 * size - 2 - index)
    index = index % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def zoom(x: np.ndarray, factor: float):
    """The middle of square pictures, enlarged to their size."""
    size = x.shape[1]
    crop = int(np.ceil(size / factor))
    top = (size - crop) // 2
    x = x[:, top : top + crop, top : top + crop]
    large = round(crop * factor)
    places = np.arange(large) * ((crop - 1) / (large - 1))  # corners on corners
    left = np.minimum(places.astype(int), crop - 2)
    weights = np.zeros((large, crop))
    weights[np.arange(large), left] = 1 - (places - left)
    weights[np.arange(large), left + 1] = places - left
    trim = (large - size) // 2
    weights = weights[trim : trim + size]
    return np.einsum("ij,njkc,lk->nilc", weights, x, weights, optimize=True)


def motion_blur(x: np.ndarray, radius: int, sigma: float, angles: np.ndarray):
    """Pictures blurred along a line, as ImageMagick does: half a Gaussian from each pixel on.

    Args:
        x: float array `(n, height, width, channels)` of values from 0 to 1.
        radius: int; `2 * radius + 1` pixels are averaged.
        sigma: float, in pixels.
        angles: float array `(n,)`, in degrees.

    Returns:
        A float array of the same shape with multiples of 1/255.
    """
    width = 2 * radius + 1
    weights = np.exp(-0.5 * (np.arange(width) / sigma) ** 2)
    weights /= weights.sum()
    radians = np.deg2rad(angles)
    _, height, wide, _ = x.shape
    pictures = np.arange(len(x))[:, None, None]
    result = np.zeros_like(x)
    for step, weight in enumerate(weights):
        down = np.ceil(step * np.sin(radians) - 0.5).astype(int)
        right = np.ceil(step * np.cos(radians) - 0.5).astype(int)
        rows = np.clip(np.arange(height) + down[:, None], 0, height - 1)
        columns = np.clip(np.arange(wide) + right[:, None], 0, wide - 1)
        result += weight * x[pictures, rows[:, :, None], columns[:, None, :]]
    return np.rint(result * 255) / 255
