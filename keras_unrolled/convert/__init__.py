"""From one network to another of the same function."""

from keras_unrolled.convert.regate import regate

__all__ = ["regate"]
