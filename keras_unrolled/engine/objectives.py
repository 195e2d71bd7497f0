"""Losses of image classifiers."""

import keras


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
        keras.ops.cast(y > 0.2, y.dtype), logits, **options
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
    weights = keras.ops.convert_to_tensor(class_weights, dtype=losses.dtype)
    return losses * keras.ops.cast(keras.ops.matmul(targets, weights), losses.dtype)
