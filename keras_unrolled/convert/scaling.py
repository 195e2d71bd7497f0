"""Weights that are copied and scaled from one network to another."""

import keras

from keras_unrolled.models.copying import copy_values


def copy_layer(old, new):
    """Gives a layer the weights of another."""
    copy_values(old.weights, new.weights)


def scale(variable, factor):
    """Multiplies a variable, in float64: factors of many blocks would round one after the other."""
    values = keras.ops.convert_to_numpy(variable.value).astype("float64")
    variable.assign(values * factor)


def affine(layer):
    """The weights of a layer that its output is linear in."""
    names = ("gamma", "beta", "kernel", "bias")
    return [w for w in (getattr(layer, name, None) for name in names) if w is not None]


def scale_output(stack, factor):
    """Multiplies what a `Stack` gives, by a number or by one for each channel."""
    for weight in affine(stack.output_layer):
        scale(weight, factor)
