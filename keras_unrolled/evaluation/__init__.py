"""Scores of networks, and tests of whether two networks differ."""

from keras_unrolled.evaluation.calibration import fit_temperature
from keras_unrolled.evaluation.perplexity import perplexity, text_losses, word_losses
from keras_unrolled.evaluation.published import (
    read_answers,
    read_soft_labels,
    score_soft_labels,
)
from keras_unrolled.evaluation.scores import accuracy, predict

__all__ = [
    "accuracy",
    "fit_temperature",
    "perplexity",
    "predict",
    "read_answers",
    "read_soft_labels",
    "score_soft_labels",
    "text_losses",
    "word_losses",
]
