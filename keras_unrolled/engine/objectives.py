"""Losses of image classifiers."""

import keras
from keras import ops


def make_losses(recipe):
    """The loss of each example under a recipe.

    Args:
        recipe: an `ImageRecipe`.

    Returns:
        A function from float targets and logits, both `(n, classes)`, to losses `(n,)`.
    """
    options = {"from_logits": True, "label_smoothing": recipe.label_smoothing}
    if recipe.loss == "cross_entropy":
        return lambda y, logits: keras.losses.categorical_crossentropy(y, logits, **options)
    # Wightman et al. 2021, section 2: each of the mixed classes is a label of its own.
    return lambda y, logits: keras.losses.binary_crossentropy(
        ops.cast(y > 0.2, y.dtype), logits, **options
    )


def weigh(losses, targets, class_weights):
    """Losses `(n,)` multiplied by the weights of their classes.

    Args:
        losses: float tensor `(n,)`.
        targets: float tensor `(n, classes)`; a mixture has the mean weight of its classes.
        class_weights: list of float, one per class, or None for equal weights.
    """
    if class_weights is None:
        return losses
    weights = ops.convert_to_tensor(class_weights, dtype=losses.dtype)
    return losses * ops.cast(ops.matmul(targets, weights), losses.dtype)


def ask_teachers(teachers, images):
    """The mean of the probabilities `(n, classes)` that some classifiers give to images."""
    scores = [ops.cast(teacher(images, training=False), "float32") for teacher in teachers]
    return ops.stop_gradient(sum(ops.softmax(s, -1) for s in scores) / len(scores))


def classification(recipe, class_weights=None, teachers=()):
    """The objective of a classifier, as a step takes one.

    Args:
        recipe: an `ImageRecipe`.
        class_weights: list of float, one per class, or None for equal weights.
        teachers: sequence of classifiers, whose mean answer is the target in place of the labels
            (knowledge distillation, Hinton et al. 2015; on the student's own views, Beyer et al. 2022).
            It is looked at when the objective is called.

    Returns:
        A function of (model, images, labels) that returns the share of these examples in the
        batch's loss and in its hits. Labels are int `(n,)`, or float `(n, classes)` of a mixture.
    """
    losses_of = make_losses(recipe)

    def objective(model, images, labels):
        logits = model(images, training=True)
        if len(labels.shape) == 2:
            targets = ops.cast(labels, logits.dtype)
            labels = ops.argmax(labels, -1)
        else:
            targets = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
        if teachers:
            targets = ops.cast(ask_teachers(teachers, images), logits.dtype)
        losses = weigh(losses_of(targets, logits), targets, class_weights)
        hits = ops.equal(ops.argmax(logits, -1), ops.cast(labels, "int32"))
        return (
            ops.sum(losses) / recipe.batch_size,
            ops.sum(ops.cast(hits, losses.dtype)) / recipe.batch_size,
        )

    return objective
