"""Conversion of a network to another one with the same function."""

from keras_unrolled.convert.keras_applications import from_keras_applications
from keras_unrolled.convert.regate import regate
from keras_unrolled.convert.timm import from_timm, to_timm

__all__ = ["from_keras_applications", "from_timm", "regate", "to_timm"]
