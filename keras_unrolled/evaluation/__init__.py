"""Scores of networks, and tests of whether two networks differ."""

from keras_unrolled.evaluation.calibration import fit_temperature
from keras_unrolled.evaluation.perplexity import perplexity, text_losses, word_losses
from keras_unrolled.evaluation.scores import accuracy, predict

__all__ = ["accuracy", "fit_temperature", "perplexity", "predict", "text_losses", "word_losses"]
