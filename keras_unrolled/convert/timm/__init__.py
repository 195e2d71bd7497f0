"""timm's checkpoints of residual networks: in, as a classifier, and out, for timm to load.

A checkpoint is a folder with `config.json` and `model.safetensors`, as timm publishes it.
"""

from keras_unrolled.convert.timm.layout import ARCHITECTURES, FILES, is_timm, network, read_config
from keras_unrolled.convert.timm.reading import from_timm
from keras_unrolled.convert.timm.writing import to_timm

__all__ = [
    "ARCHITECTURES",
    "FILES",
    "from_timm",
    "is_timm",
    "network",
    "read_config",
    "to_timm",
]
