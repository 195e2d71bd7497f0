"""The targets that a classifier is trained on."""

import keras
import numpy as np

from keras_unrolled.engine import ImageRecipe
from keras_unrolled.engine.objectives import classification

RECIPE = ImageRecipe(network={}, batch_size=8)


class Fixed:
    """A classifier that answers the same to all images."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, "float32")

    def __call__(self, images, training):
        return keras.ops.convert_to_tensor(self.scores)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_mean_answer_of_the_teachers_is_the_target(rng):
    student, one, two = rng.normal(size=(3, 4, 5))
    labels = np.array([0, 1, 2, 3])
    teachers = []
    objective = classification(RECIPE, teachers=teachers)
    teachers += [Fixed(one), Fixed(two)]  # as a program does, once the strategy is there
    loss, hits = objective(Fixed(student), np.zeros((4, 1)), keras.ops.convert_to_tensor(labels))
    targets = (softmax(one) + softmax(two)) / 2
    expected = -(targets * np.log(softmax(student))).sum() / RECIPE.batch_size
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)
    # Hits are those of the labels.
    assert float(hits) == (student.argmax(-1) == labels).sum() / RECIPE.batch_size


def test_without_teachers_labels_are_the_target(rng):
    student, labels = rng.normal(size=(4, 5)), np.array([0, 1, 2, 3])
    objective = classification(RECIPE)
    loss, _ = objective(Fixed(student), np.zeros((4, 1)), keras.ops.convert_to_tensor(labels))
    expected = -np.log(softmax(student)[np.arange(4), labels]).sum() / RECIPE.batch_size
    np.testing.assert_allclose(float(loss), expected, rtol=1e-5)
