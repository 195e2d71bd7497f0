"""Pieces of a network, compiled once for all that compute the same function."""

import contextlib
from typing import Any

import keras

from keras_unrolled.layers.layer_dropout import LayerDropout


class Runner:
    """Runs the pieces of a stack with the weights that they have when it is made.

    A compiled function takes the weights as arguments, so that blocks of one configuration share it
    and the batch statistics can be others than the network's. The stack keeps it for other runners,
    keyed by object or by what is computed, never by name.

    Args:
        stack: a `BlockStack`.
        differentiable: bool, whether gradients are taken through it.
    """

    def __init__(self, stack, *, differentiable=False):
        self.differentiable = differentiable
        self.functions = stack.functions
        pieces = [stack.stem, *stack.blocks, *([stack.head] if stack.head else [])]
        # Tensors: TensorFlow would turn a Keras variable into an array at every call.
        self.values = {
            id(piece): [keras.ops.copy(v.value) for v in piece.variables] for piece in pieces
        }
        self.places = {id(piece): _find_statistics(piece) for piece in pieces}

    def __call__(self, piece, x, method="run", statistics=None):
        """What a piece computes.

        Args:
            piece: one of the stack's.
            x: tensor, its input.
            method: "run", "parts", "identity" or "keep_carry".
            statistics: optional list of tensors, batch statistics in place of the network's.

        Returns:
            A tensor, or for "parts" a dict of tensors.
        """
        return self._call(piece, x, method, "inference", statistics)[0]

    def collect(self, piece, x, method="run"):
        """As calling it, with each batch normalized by its own statistics.

        Returns:
            A pair: the output, and the list of the batch's statistics.
        """
        return self._call(piece, x, method, "statistics", None)

    def shape(self, piece, x):
        """The shape of a piece's output, without compiling it; for an input or, on JAX, its shape.

        Returns:
            What has a `shape`, and can be the next piece's `x`.
        """
        function = _make(piece, "run", "inference", [])
        if keras.backend.backend() == "jax":
            import jax

            return jax.eval_shape(function, self.values[id(piece)], x)[0]
        return _without_gradients(function)(self.values[id(piece)], x)[0]

    def has_statistics(self, piece):
        """Whether a piece normalizes by batches."""
        return bool(self.places[id(piece)])

    def _call(self, piece, x, method, mode, statistics):
        values = self.values[id(piece)]
        if statistics is not None:
            values = list(values)
            for place, value in zip(self.places[id(piece)], statistics):
                values[place] = value
        sizes = tuple(tuple(part.shape[1:]) for part in keras.tree.flatten(x))
        key = (piece.key, method, mode, self.differentiable, sizes)
        if key not in self.functions:
            function = _make(piece, method, mode, self.places[id(piece)])
            self.functions[key] = _compile(function, self.differentiable, values, x)
        return self.functions[key](values, x)


def _find_statistics(piece):
    """The places of the moving means and variances among a piece's variables."""
    places = {id(v): i for i, v in enumerate(piece.variables)}
    return [
        places[id(v)]
        for layer in _flatten(piece)
        if isinstance(layer, keras.layers.BatchNormalization)
        for v in (layer.moving_mean, layer.moving_variance)
    ]


def _flatten(piece) -> list[Any]:
    return [inner for layer in piece.layers for inner in layer._flatten_layers()]


def _make(piece, method, mode, places):
    """A function from the values of a piece's variables and its input to its output."""
    variables, collects = piece.variables, mode == "statistics"

    def function(values, x):
        with (
            _own_statistics(piece) if collects else contextlib.nullcontext(),
            keras.StatelessScope(state_mapping=list(zip(variables, values))) as scope,
        ):
            if method in ("run", "parts"):
                y = getattr(piece, method)(x, training=collects)
            else:
                y = piece.lesion(x, method, training=collects)
            new = [scope.get_current_value(variables[i]) for i in places] if collects else []
        return y, new

    return function


@contextlib.contextmanager
def _own_statistics(piece):
    """In it batch normalization keeps each batch's own statistics, and no layer draws at random."""
    momenta: list[Any] = []
    calls: list[Any] = []
    for layer in _flatten(piece):
        if isinstance(layer, keras.layers.BatchNormalization):
            momenta.append((layer, layer.momentum, layer.trainable))
            layer.momentum, layer.trainable = 0.0, True  # a frozen one would keep the network's
        elif isinstance(layer, (LayerDropout, keras.layers.Dropout)):
            calls.append(layer)
            layer.call = _at_inference(layer.call)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer, momentum, trainable in momenta:
            layer.momentum, layer.trainable = momentum, trainable
        for layer in calls:
            del layer.call


def _at_inference(call) -> Any:
    return lambda inputs, training=False: call(inputs, training=False)


def _compile(function, differentiable, values, x):
    """A function compiled for such values, and for inputs like `x` of any number."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        many = keras.tree.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), x)
        signature = [[tf.TensorSpec(v.shape, v.dtype) for v in values], many]
        traced = tf.function(function, signature, jit_compile=False, autograph=False)
        return traced.get_concrete_function()  # calls of which are not suspected of retracing
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function if differentiable else _without_gradients(function)


def _without_gradients(function):
    if keras.backend.backend() != "torch":
        return function
    import torch

    return torch.no_grad()(function)
