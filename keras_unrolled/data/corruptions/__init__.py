"""CIFAR-10-C, regenerated: the common corruptions of Hendrycks & Dietterich 2019 (arXiv 1903.12261).

- `corrupting`: `corrupt`, and the kinds by name.
- `noise`, `blurs`, `weather`, `digital`: the kinds, each a function of pictures from 0 to 1, a severity and
  a random generator for each picture.
- `filters`: what several of them are made of.

Definitions and parameters are those of the program that made CIFAR-10-C
(https://github.com/hendrycks/robustness, make_cifar_c.py), for pictures of 32 x 32 pixels. Frost is left out:
it needs six photographs that are not part of the definition. The random numbers are others than those of the
published files, which were not seeded.
"""

from keras_unrolled.data.corruptions.corrupting import KINDS, SEVERITIES, corrupt

__all__ = ["KINDS", "SEVERITIES", "corrupt"]
