"""Blocks and layers, which depend on Keras only."""

from keras_unrolled.layers.block import BLOCK_TYPES, Block
from keras_unrolled.layers.convolution import SymmetricConv2D
from keras_unrolled.layers.highway import Highway
from keras_unrolled.layers.layer_dropout import LayerDropout
from keras_unrolled.layers.lstm import LSTM
from keras_unrolled.layers.mixing import GATINGS, Gating, gate_activation, mix, open_gate
from keras_unrolled.layers.normalization import BatchNormalization, make_normalization
from keras_unrolled.layers.stack import Stack
from keras_unrolled.layers.word_encoder import WordEncoder

__all__ = [
    "BLOCK_TYPES",
    "GATINGS",
    "LSTM",
    "BatchNormalization",
    "Block",
    "Gating",
    "Highway",
    "LayerDropout",
    "Stack",
    "SymmetricConv2D",
    "WordEncoder",
    "gate_activation",
    "make_normalization",
    "mix",
    "open_gate",
]
