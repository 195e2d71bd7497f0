"""The engine: it executes a recipe on devices, for training and fine-tuning alike."""

from keras_unrolled.engine.best_epoch import BestEpoch
from keras_unrolled.engine.job import Job
from keras_unrolled.engine.recipe import ImageRecipe, Recipe, TextRecipe, read_recipe
from keras_unrolled.engine.run import (
    count_replicas,
    count_workers,
    is_chief,
    make_strategy,
    meet,
    train,
)
from keras_unrolled.engine.stopping import NonFiniteLossError, Stopped, WorkersGoneError

__all__ = [
    "BestEpoch",
    "ImageRecipe",
    "Job",
    "NonFiniteLossError",
    "Recipe",
    "Stopped",
    "TextRecipe",
    "WorkersGoneError",
    "count_replicas",
    "count_workers",
    "is_chief",
    "make_strategy",
    "meet",
    "read_recipe",
    "train",
]
