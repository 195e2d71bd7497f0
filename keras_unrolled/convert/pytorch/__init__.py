"""Residual nets of PyTorch from their state dicts: torchvision's, timm's and those for CIFAR."""

from keras_unrolled.convert.pytorch.reading import from_torch

__all__ = ["from_torch"]
