"""Weather. Frost is left out: it needs photographs."""

import numpy as np

from keras_unrolled.data.corruptions import filters

GRAY = np.array([0.299, 0.587, 0.114])


def snow(x, severity, generators):
    """Flakes that fall in one direction, over a picture that becomes paler."""
    mean, spread, size, least, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    flakes = np.stack([g.normal(mean, spread, (*x.shape[1:3], 1)) for g in generators])
    angles = np.array([g.uniform(-135, -45) for g in generators])
    flakes = filters.zoom(flakes, size)
    flakes = np.where(flakes < least, 0, flakes)
    flakes = np.floor(np.clip(flakes, 0, 1) * 255) / 255
    flakes = filters.motion_blur(flakes, radius, sigma, angles)
    pale = np.maximum(x, (x @ GRAY)[..., None] * 1.5 + 0.5)
    return kept * x + (1 - kept) * pale + flakes + np.rot90(flakes, 2, axes=(1, 2))


def fog(x, severity, generators):
    """Fog of a fractal, with the brightest value kept."""
    amount, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    clouds = np.stack([make_plasma(x.shape[1], decay, g) for g in generators])
    return (x + amount * clouds[..., None]) * brightest / (brightest + amount)


def make_plasma(size, decay, generator):
    """A fractal by diamonds and squares, `(size, size)`, from 0 to 1, which goes on at its borders.

    Args:
        size: int, a power of two.
        decay: float, by which the disturbance falls from step to step.
        generator: `numpy.random.Generator`.
    """
    heights = np.zeros((size, size))
    step, disturbance = size, 100.0

    def disturbed(total):
        # The program that made CIFAR-10-C has the disturbance twice as a factor.
        noise = generator.uniform(-disturbance, disturbance, total.shape)
        return total / 4 + disturbance * noise

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        total = corners + np.roll(corners, -1, axis=0)
        centers = disturbed(total + np.roll(total, -1, axis=1))
        heights[half::step, half::step] = centers
        across = centers + np.roll(centers, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        heights[::step, half::step] = disturbed(across)
        down = centers + np.roll(centers, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        heights[half::step, ::step] = disturbed(down)
        step, disturbance = half, disturbance / decay
    heights -= heights.min()
    return heights / heights.max()


def brightness(x, severity, generators):
    """More light: the value of HSV rises, hue and saturation stay."""
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    value = x.max(axis=-1, keepdims=True)
    brighter = np.clip(value + more, 0, 1)
    # Black has no hue, and becomes gray.
    return np.where(value > 0, x * (brighter / np.where(value > 0, value, 1)), brighter)
