"""Networks on KerasHub's base classes, and builders for the published ones."""

from keras_unrolled.models.builders import (
    DATASETS,
    IMAGENET_DEPTHS,
    character_lm,
    highway,
    imagenet_labels,
    make_preprocessor,
    plain,
    resnet,
)
from keras_unrolled.models.character_backbone import CharacterBackbone
from keras_unrolled.models.character_lm import CharacterLM, CharacterLMPreprocessor
from keras_unrolled.models.character_tokenizer import CharacterTokenizer
from keras_unrolled.models.image_backbone import ImageBackbone
from keras_unrolled.models.image_classifier import ImageClassifier, ImageClassifierPreprocessor
from keras_unrolled.models.image_converter import ImageConverter
from keras_unrolled.models.stem import Stem

__all__ = [
    "DATASETS",
    "IMAGENET_DEPTHS",
    "CharacterBackbone",
    "CharacterLM",
    "CharacterLMPreprocessor",
    "CharacterTokenizer",
    "ImageBackbone",
    "ImageClassifier",
    "ImageClassifierPreprocessor",
    "ImageConverter",
    "Stem",
    "character_lm",
    "highway",
    "imagenet_labels",
    "make_preprocessor",
    "plain",
    "resnet",
]
