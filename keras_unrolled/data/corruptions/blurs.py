"""Blurs."""

import numpy as np

from keras_unrolled.data.corruptions import filters


def defocus_blur(x, severity, generators):
    """Blur of a lens out of focus: a disk with soft edges."""
    parameters = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    radius, softness = parameters[severity - 1]
    return filters.correlate(x, make_disk(radius, softness), "reflect")


def make_disk(radius, softness):
    """A disk of weights `(17, 17)`, blurred by a Gaussian of three pixels."""
    places = np.arange(-8, 9)
    disk = (places**2 + places[:, None] ** 2 <= radius**2).astype("float64")
    disk /= disk.sum()
    weights = np.exp(-0.5 * (np.arange(-1, 2) / softness) ** 2)
    weights /= weights.sum()
    return filters.correlate(disk[None, ..., None], np.outer(weights, weights), "reflect")[
        0, ..., 0
    ]


def glass_blur(x, severity, generators):
    """Blur of frosted glass: pixels trade places with their neighbors between two Gaussian blurs.

    As in the program that made CIFAR-10-C, a pixel takes its neighbor's value and the neighbor keeps its
    own: its exchange of two views of one array comes to that.
    """
    parameters = ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))
    sigma, reach, times = parameters[severity - 1]
    size, pictures = x.shape[1], np.arange(len(x))
    x = (filters.gaussian(x, sigma) * 255).astype("uint8")
    places = range(size - reach, reach, -1)
    shape = (times, len(places), len(places), 2)
    moves = np.stack([g.integers(-reach, reach, size=shape) for g in generators])
    for turn in range(times):
        for i, row in enumerate(places):
            for j, column in enumerate(places):
                right, down = moves[:, turn, i, j].T
                x[:, row, column] = x[pictures, row + down, column + right]
    return filters.gaussian(x / 255, sigma)


def motion_blur(x, severity, generators):
    """Blur of a camera that moves, at most 45 degrees from the horizontal."""
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angles = np.array([g.uniform(-45, 45) for g in generators])
    return filters.motion_blur(x, radius, sigma, angles)


def zoom_blur(x, severity, generators):
    """Blur of a camera that moves towards its object: the mean of several sizes."""
    most = (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1]
    factors = np.arange(1, most, 0.01)
    return (x + sum(filters.zoom(x, factor) for factor in factors)) / (len(factors) + 1)
