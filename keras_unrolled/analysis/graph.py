"""A functional model as a list of calls, in which the models inside it are taken apart as well."""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import keras

from keras_unrolled import checks

IMAGE_SIZE = 256  # of the images for which the shapes are counted, where a network takes any


class Place:
    """Stands in a call's arguments for the tensor of a number."""

    def __init__(self, number: int):
        self.number = number


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation, `outputs = op(*args, **kwargs)`.

    Attributes:
        op: a Keras layer, a Keras operation or another function of tensors.
        args: tuple with a `Place` for each tensor.
        kwargs: dict, likewise.
        inputs: tuple of int, the numbers of the tensors it reads.
        outputs: tuple of int, the numbers of the tensors it gives.
    """

    op: Any
    args: Any
    kwargs: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def __call__(self, values: dict[int, Any]) -> None:
        """Adds what it gives to `values`, a dict from numbers to tensors."""
        args, kwargs = keras.tree.map_structure(
            lambda x: values[x.number] if isinstance(x, Place) else x, (self.args, self.kwargs)
        )
        values.update(zip(self.outputs, keras.tree.flatten(self.op(*args, **kwargs))))


class Graph:
    """The calls between the input and the output of a functional or a built `Sequential` model.

    Tensors have numbers, which say nothing about their order; names of layers are not read. The
    model's layers are called once more on symbolic tensors; it stays as it is.

    Args:
        model: a model with one input and one output.

    Raises:
        InputError: for a model of images of any size that fails on those of 256 x 256 pixels.

    Attributes:
        input: int, the number of the model's input.
        output: int, the number of its output.
        calls: list of `Call`, each after those whose outputs it reads, without those that the
            output does not depend on.
        shapes: list of the tensors' shapes without the batch, for images of 256 x 256 pixels where
            the model takes any size.
        channels_first: bool, whether its images are `(batch, channels, height, width)`.
    """

    def __init__(self, model: keras.Model):
        (x,) = model.inputs
        size = [IMAGE_SIZE if n is None else n for n in x.shape[1:]]
        self.is_open = None in x.shape[1:]
        trace = _Trace()
        start = keras.Input(size, dtype=x.dtype)
        try:
            (end,) = trace.follow(model, [start])
        except ValueError as error:
            raise checks.InputError(
                f"Expected a network that takes images of {size[0]} x {size[1]} pixels. Received one "
                "that fails on them. Build it for images of a size that it takes (input_shape=... or "
                "image_shape=...)."
            ) from error
        self.input, self.output = trace.number(start), trace.number(end)
        self.shapes = [tensor.shape[1:] for tensor in trace.tensors]
        self.dtypes = [tensor.dtype for tensor in trace.tensors]
        self.calls = trace.calls
        self.calls = self.between(self.input, [self.output])
        formats = [getattr(call.op, "data_format", None) for call in self.calls]
        self.channels_first = "channels_first" in formats
        self.makers = {n: call for call in self.calls for n in call.outputs}

    def between(self, start: int, ends: list[int]) -> list[Call]:
        """The calls that lead from one tensor to some others, in order."""
        needed, calls = set(ends), []
        for call in reversed(self.calls):
            made = needed.intersection(call.outputs)
            if made - {start}:
                calls.append(call)
                needed.update(call.inputs)
        return calls[::-1]

    def readers(self, number: int) -> list[Call]:
        """The calls that read a tensor."""
        return [call for call in self.calls if number in call.inputs]

    def narrows(self) -> list[int]:
        """The tensors that everything passes through, from the input to the output.

        They are found in any order of the calls: between two of them only they are still needed.
        """
        last = {n: i for i, call in enumerate(self.calls) for n in call.inputs}
        last[self.output] = len(self.calls)
        alive, narrow = {self.input}, [self.input]
        for i, call in enumerate(self.calls):
            alive.update(call.outputs)
            alive = {n for n in alive if last.get(n, -1) > i}
            if len(alive) == 1:
                narrow.extend(alive)
        return narrow

    def extract(self, start: int, ends: list[int]) -> keras.Model:
        """The model from one tensor to some others, with the layers of this one.

        Its output is a tensor for one end, otherwise a list.
        """
        shape = list(self.shapes[start])
        if self.is_open and len(shape) == 3:
            channels = 0 if self.channels_first else 2
            shape = [n if axis == channels else None for axis, n in enumerate(shape)]
        x = keras.Input(shape, dtype=self.dtypes[start])
        values = {start: x}
        for call in self.between(start, ends):
            call(values)
        return keras.Model(x, [values[n] for n in ends] if len(ends) > 1 else values[ends[0]])


class _Trace:
    """What is collected while the calls of a model are repeated on other symbolic tensors."""

    def __init__(self):
        self.numbers, self.tensors, self.calls, self.kept = {}, [], [], []

    def number(self, tensor):
        if id(tensor) not in self.numbers:
            self.numbers[id(tensor)] = len(self.tensors)
            self.tensors.append(tensor)
        return self.numbers[id(tensor)]

    def alias(self, tensor, number):
        self.numbers[id(tensor)] = number
        self.kept.append(tensor)  # whose id must not be given to another

    def follow(self, model, inputs):
        """Repeats a model's calls on new inputs, and returns its new outputs."""
        graph = keras.Model(model.inputs, model.outputs)
        return keras.models.clone_model(
            graph, inputs, clone_function=lambda op: op, call_function=self.call
        ).outputs

    def call(self, op, *args, **kwargs):
        outputs = op(*args, **kwargs)
        given = {name for name, value in kwargs.items() if value is not None}
        if has_graph(op) and given <= {"training"}:
            self._enter(op, keras.tree.flatten(args), keras.tree.flatten(outputs))
        else:
            self._add(op, args, kwargs, outputs)
        return outputs

    def _enter(self, model, tensors, outputs):
        """Takes a model inside of the model apart."""
        inputs = []
        for x, reference in zip(tensors, model.inputs):
            if x.dtype != reference.dtype:
                x = self._cast(x, reference.dtype)
            inputs.append(keras.Input(batch_shape=x.shape, dtype=x.dtype))
            self.alias(inputs[-1], self.number(x))
        for outer, inner in zip(outputs, self.follow(model, inputs)):
            self.alias(outer, self.number(inner))

    def _cast(self, x, dtype):
        cast = functools.partial(keras.ops.cast, dtype=dtype)
        y = cast(x)
        self._add(cast, (x,), {}, y)
        return y

    def _add(self, op, args, kwargs, outputs):
        read = []

        def place(x):
            if not isinstance(x, keras.KerasTensor):
                return x
            read.append(self.number(x))
            return Place(read[-1])

        args, kwargs = keras.tree.map_structure(place, (args, kwargs))
        made = tuple(self.number(x) for x in keras.tree.flatten(outputs))
        self.calls.append(Call(op, args, kwargs, tuple(read), made))


def has_graph(model: Any) -> bool:
    """Whether a model computes what its graph of layers says: a functional or built sequential one."""
    if isinstance(model, keras.Sequential):
        known = getattr(model, "inputs", None) is not None  # once it is built
        return known and type(model).call is keras.Sequential.call
    if not (isinstance(model, keras.Model) and isinstance(model, keras.Function)):
        return False
    return type(model).call is _functional_class().call


@functools.cache
def _functional_class():
    x = keras.Input(())
    return type(keras.Model(x, x))


def list_layers(calls: list[Call]) -> list[keras.layers.Layer]:
    """The layers among the operations of some calls, each once."""
    layers = {id(c.op): c.op for c in calls if isinstance(c.op, keras.layers.Layer)}
    return list(layers.values())


def signature(calls: list[Call], start: int, ends: list[int]) -> str | None:
    """What some calls compute of their layers' variables, as a string.

    Args:
        calls: what `Graph.between` returned.
        start: number of the tensor that they begin with.
        ends: numbers of the tensors that they lead to.

    Returns:
        A string, the same only for calls that compute the same; None where one of them is not
        fully described by its configuration.
    """
    places, rows = {start: 0}, []
    ops: dict[int, int] = {}
    for call in calls:
        for n in call.outputs:
            places[n] = len(places)
        if id(call.op) not in ops:
            ops[id(call.op)] = len(ops)
        config = _describe(call.op)
        if config is None:
            return None
        arguments = keras.tree.map_structure(
            lambda x: f"tensor {places[x.number]}" if isinstance(x, Place) else x,
            (call.args, call.kwargs),
        )
        rows.append((ops[id(call.op)], config, arguments))
    return repr((rows, [places[n] for n in ends]))


def _describe(op):
    """The class and configuration of one of Keras's own operations, or None."""
    if not type(op).__module__.startswith("keras.src.") or isinstance(op, keras.Model):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of lambdas, which are not plain
            config = op.get_config()
    except (NotImplementedError, TypeError, ValueError):
        return None
    config.pop("name", None)
    return (type(op).__qualname__, config) if _is_plain(config) else None


def _is_plain(config):
    """Whether a configuration holds values and Keras's own objects only, no functions of the user's."""
    if isinstance(config, dict):
        if "class_name" in config and not str(config.get("module")).startswith("keras"):
            return False
        return all(map(_is_plain, config.values()))
    if isinstance(config, (list, tuple)):
        return all(map(_is_plain, config))
    return config is None or isinstance(config, (str, int, float))
