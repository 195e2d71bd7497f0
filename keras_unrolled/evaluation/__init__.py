"""Scores of networks, and whether two networks differ by more than chance."""

from keras_unrolled.evaluation.perplexity import perplexity, text_losses, word_losses
from keras_unrolled.evaluation.scores import accuracy, predict

__all__ = ["accuracy", "perplexity", "predict", "text_losses", "word_losses"]
