"""Values of variables that are copied from one model to another."""

from keras import ops


def variables_of(norm):
    """The four variables of a batch normalization."""
    return [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance]


def copy_values(sources, targets):
    """Gives variables the values of others, in memory of their own.

    On JAX `assign` alone lets both have one array, which is deleted when Keras's `predict` or `fit` of
    either model takes it over.

    Args:
        sources: sequence of variables.
        targets: sequence of as many variables of the same shapes.
    """
    for source, target in zip(sources, targets, strict=True):
        target.assign(ops.copy(source.value))
