"""Residual nets of KerasHub: `ResNetImageClassifier`, post- and pre-activated."""

from keras_unrolled.convert.keras_hub.conversion import from_keras_hub
from keras_unrolled.convert.keras_hub.folder import is_keras_hub

__all__ = ["from_keras_hub", "is_keras_hub"]
