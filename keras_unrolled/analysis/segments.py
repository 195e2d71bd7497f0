"""Where the residual blocks of a graph begin and end: at its additions."""

import functools
from dataclasses import dataclass
from typing import Any

import keras

from keras_unrolled import checks
from keras_unrolled.analysis.graph import Call, Graph

ACTIVATION_LAYERS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)
NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)
# Operations and layers are named as the functions are, but for underscores.
ACTIVATIONS = {name.replace("_", "") for name in dir(keras.activations)}
ADVICE = (
    "Choose a residual net such as keras.applications.ResNet50 or a KerasHub ImageClassifier, or "
    "load a network of this package with `from_preset`."
)


@dataclass(frozen=True)
class Segment:
    """What becomes a block, by the numbers of its tensors in a `Graph`.

    Attributes:
        start: its input.
        end: its output.
        mix: the output of its addition, or None for a block without one.
        shortcut: the addend that is carried.
        transform: the other addend.
    """

    start: int
    end: int
    mix: int | None = None
    shortcut: int | None = None
    transform: int | None = None


def find_segments(graph: Graph) -> list[Segment]:
    """Where the blocks of a graph begin and end, in order.

    Raises:
        InputError: for a graph whose additions do not cut it into blocks.
    """
    narrows = graph.narrows()
    calls = find_additions(graph, narrows)
    forks = [narrows[narrows.index(call.outputs[0]) - 1] for call in calls]
    ends = [_end(graph, call.outputs[0]) for call in calls]
    segments = []
    for call, fork, start, end in zip(
        calls, forks, [_end_of_stem(graph, narrows, forks[0], ends), *ends], ends
    ):
        if graph.shapes[start] != graph.shapes[fork]:
            segments.append(Segment(start, fork))
            start = fork
        shortcut, transform = tell_apart(graph, call, fork)
        segments.append(Segment(start, end, call.outputs[0], shortcut, transform))
    return segments


def find_additions(graph: Graph, narrows: list[int]) -> list[Call]:
    """The additions that end the blocks, in order.

    Args:
        graph: a `Graph`.
        narrows: what its `narrows` returned.

    Raises:
        InputError: if there are none, and if there are others, which are no blocks' ends.
    """
    found = [call for call in graph.calls if _is_addition(graph, call)]
    maps = [call for call in found if len(graph.shapes[call.outputs[0]]) == 3]
    ends = [call for call in maps if call.outputs[0] in narrows]
    if any(len(graph.shapes[call.outputs[0]]) == 2 for call in found):
        raise checks.InputError(
            "Expected a network of feature maps (batch, height, width, channels). Received one that "
            f"adds sequences of tokens, as transformers do. {ADVICE}"
        )
    large = next((call for call in maps if len(call.inputs) > 2), None)
    if large is not None:
        raise checks.InputError(
            "Expected additions of two feature maps, a shortcut and a transform. Received a network "
            f"with an addition of {len(large.inputs)} ({_name(large.op)}). {ADVICE}"
        )
    if not ends and not maps:
        raise checks.InputError(
            "Expected a network with residual blocks, which end in an addition of two feature maps. "
            f"Received one without such additions{_hidden(graph)}. {ADVICE}"
        )
    across = [call for call in maps if call not in ends and _is_spatial(graph, call)]
    if across or not ends:
        raise checks.InputError(
            "Expected residual blocks that follow one another. Received a network in which a skip "
            f"connection passes by an addition ({_name((across or maps)[0].op)}), as in a U-Net. "
            f"{ADVICE}"
        )
    return ends


def tell_apart(graph: Graph, call: Call, fork: int) -> tuple[int, int]:
    """Which addend of an addition is carried: the block's input, or what has fewer layers.

    Args:
        graph: a `Graph`.
        call: the addition.
        fork: number of the tensor that both branches read.

    Returns:
        The numbers of the shortcut and of the transform.

    Raises:
        InputError: for branches that are alike.
    """
    first, second = (_measure(graph.between(fork, [n])) for n in call.inputs)
    if first == second:
        raise checks.InputError(
            "Expected additions of a shortcut and a longer branch. Received a network in which both "
            f"branches of an addition ({_name(call.op)}) have as many layers. {ADVICE}"
        )
    shortcut, transform = call.inputs if first < second else call.inputs[::-1]
    return shortcut, transform


def _end(graph, mix):
    """The activation directly after an addition that is read by nothing else, or the addition."""
    readers = graph.readers(mix)
    if len(readers) == 1 and is_activation(graph, readers[0]):
        return readers[0].outputs[0]
    return mix


def _end_of_stem(graph, narrows, fork, ends):
    """Where the first block begins: where it forks, or in pre-activation before norm and activation."""
    place = narrows.index(fork)
    later = [call.op for end in ends[:-1] for call in graph.readers(end)]
    if place < 2 or not any(isinstance(op, NORMALIZATIONS) for op in later):
        return fork
    norm, activation = (graph.makers[n] for n in narrows[place - 1 : place + 1])
    if isinstance(norm.op, NORMALIZATIONS) and is_activation(graph, activation):
        return narrows[place - 2]
    return fork


def is_activation(graph: Graph, call: Call) -> bool:
    """Whether a call is an activation function and nothing else."""
    if len(call.inputs) != 1 or graph.shapes[call.inputs[0]] != graph.shapes[call.outputs[0]]:
        return False
    if isinstance(call.op, keras.layers.Layer):
        return isinstance(call.op, ACTIVATION_LAYERS)
    return _activation(call.op) is not None


def last_activation(graph: Graph) -> Any:
    """The activation that a graph's output has been through: a function or a name.

    Layers without one, such as dropout and pooling, are passed over.
    """
    number = graph.output
    while True:
        call = graph.makers[number]
        activation = _activation(call.op)
        if activation is not None:
            return activation
        if len(call.inputs) != 1 or call.inputs[0] == graph.input:
            return _name(call.op)
        number = call.inputs[0]


def _activation(op):
    if hasattr(op, "activation"):
        return op.activation
    name = type(op).__name__.lower()
    return name if name in ACTIVATIONS or isinstance(op, ACTIVATION_LAYERS) else None


def _is_addition(graph, call):
    """Whether a call adds tensors of one shape."""
    if not isinstance(call.op, (keras.layers.Add, _add_class())) or len(call.inputs) < 2:
        return False
    return {graph.shapes[n] for n in call.inputs} == {graph.shapes[call.outputs[0]]}


@functools.cache
def _add_class():
    """The class of the operation `a + b`."""
    a, b = keras.KerasTensor((1,)), keras.KerasTensor((1,))
    return type(keras.Function([a, b], a + b).operations[-1])


def _is_spatial(graph, call):
    """Whether it adds more than what is pooled to one pixel, as attention to channels does."""
    shape = graph.shapes[call.outputs[0]]
    return (shape[1:] if graph.channels_first else shape[:2]) != (1, 1)


def _measure(calls):
    """The length of a branch: how many layers with kernels it has, and how many in all."""
    layers = [c.op for c in calls if isinstance(c.op, keras.layers.Layer)]
    kernels = [v for layer in layers for v in layer.weights if len(v.shape) > 1]
    return len(kernels), len(calls)


def _hidden(graph):
    """Which layers are not Keras's own, whose inside is not seen."""
    classes = {type(c.op) for c in graph.calls if isinstance(c.op, keras.layers.Layer)}
    names = sorted(c.__name__ for c in classes if not c.__module__.startswith("keras.src.layers."))
    return f"; what is within its layers {', '.join(names[:3])} is not seen" if names else ""


def _name(op):
    return getattr(op, "name", type(op).__name__)
