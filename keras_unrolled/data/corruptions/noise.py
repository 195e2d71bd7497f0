"""Noise in each value of a picture."""

import numpy as np


def gaussian_noise(x, severity, generators):
    """Normal noise, of electronics in the dark."""
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return x + np.stack([g.normal(scale=scale, size=x.shape[1:]) for g in generators])


def shot_noise(x, severity, generators):
    """Poisson noise, of the number of photons."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return np.stack([g.poisson(picture * photons) for g, picture in zip(generators, x)]) / photons


def impulse_noise(x, severity, generators):
    """Salt and pepper: a part of the values is 0 or 1."""
    amount = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    flipped = np.stack([g.random(x.shape[1:]) < amount for g in generators])
    salt = np.stack([g.random(x.shape[1:]) < 0.5 for g in generators])
    return np.where(flipped, salt.astype(x.dtype), x)
