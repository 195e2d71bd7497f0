"""Conversion of a network to another one with the same function."""

from keras_unrolled.convert.fold import fold
from keras_unrolled.convert.keras_applications import from_keras_applications
from keras_unrolled.convert.keras_hub import from_keras_hub
from keras_unrolled.convert.pytorch import from_torch
from keras_unrolled.convert.regate import regate
from keras_unrolled.convert.timm import from_timm, to_timm

__all__ = [
    "fold",
    "from_keras_applications",
    "from_keras_hub",
    "from_timm",
    "from_torch",
    "regate",
    "to_timm",
]
