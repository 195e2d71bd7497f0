"""Fine-tuning of a preset on one's own images."""

from keras_unrolled.finetuning.options import Options

__all__ = ["Options"]
