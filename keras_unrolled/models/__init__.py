"""Image networks on KerasHub's base classes, and builders for the published depths."""

from keras_unrolled.models.builders import (
    DATASETS,
    IMAGENET_DEPTHS,
    highway,
    imagenet_labels,
    make_preprocessor,
    plain,
    resnet,
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
    "ImageBackbone",
    "ImageClassifier",
    "ImageClassifierPreprocessor",
    "ImageConverter",
    "Stem",
    "highway",
    "imagenet_labels",
    "make_preprocessor",
    "plain",
    "resnet",
]
