"""Networks on KerasHub's base classes, and builders for the published ones."""

from keras_unrolled.models.builders import (
    DATASETS,
    IMAGENET_DEPTHS,
    highway,
    imagenet_labels,
    make_preprocessor,
    plain,
    resnet,
)
from keras_unrolled.models.character_backbone import CharacterBackbone
from keras_unrolled.models.character_lm import (
    CharacterLM,
    CharacterLMPreprocessor,
    CharacterTokenizer,
    character_lm,
)
from keras_unrolled.models.image_backbone import ImageBackbone, Stem
from keras_unrolled.models.image_classifier import (
    ImageClassifier,
    ImageClassifierPreprocessor,
    ImageConverter,
)

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
