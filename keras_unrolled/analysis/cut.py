"""Functional residual nets of other people, cut at their additions."""

from typing import Any

import keras
import keras_hub
import numpy as np

from keras_unrolled import checks
from keras_unrolled.analysis.graph import Graph, has_graph, list_layers, signature
from keras_unrolled.analysis.pieces import BlockPiece, BlockStack, Piece, kind_of
from keras_unrolled.analysis.segments import find_segments, last_activation
from keras_unrolled.layers.mixing import check_lesion, effective_gates


def cut(model: Any, prepare: Any = None) -> BlockStack:
    """Takes a functional residual net apart at its additions, whatever its layers are called.

    A block ends at the output of its addition, or at the activation directly after it where nothing
    else reads the addition (post-activation). It begins where the one before it ends, so that a norm
    and an activation before its branches are part of it (pre-activation). A new stage begins where
    the shape of the output changes: the ResNetV2 of `keras.applications`, which stride in the last
    block of a stage, have seven stages. Models within the model, such as the backbone of a KerasHub
    classifier, are taken apart, too.

    The stem ends where the first block's branches part (in pre-activation before their common norm
    and activation), and the head begins after the last addition. Layers between two blocks that
    change the shape, such as the downsampling of ConvNeXt and the inverted residuals without an
    addition of MobileNetV2 and EfficientNet, become a transition block of the gating "plain", which
    cannot be left out; those before the first block belong to the stem and those after the last one
    to the head.

    Args:
        model: a functional or built `Sequential` Keras model from one image tensor `(batch, height,
            width, channels)` to class scores `(batch, classes)`, logits or probabilities, such as
            `keras.applications.ResNet50()` and `keras_hub.models.ImageClassifier` with a
            `ResNetBackbone`. Weights are shared with it.
        prepare: optional function from raw data, a slice of what the user passes, to the model's
            input. The default is the preprocessor of a KerasHub classifier, and for other models a
            cast to float32.

    Returns:
        A `BlockStack`. Its blocks have the gating "residual", and T = C = 1 of shape `()` among their
        parts, but for those without an addition. Shapes of a network that takes images of any size
        are compared for 256 x 256 pixels. `channels` is None where no preprocessor says what the
        images are like.

    Raises:
        InputError: for a model that is no such stack: one whose graph is not known (a subclassed
            one), with several inputs or outputs, without class scores, without additions of two
            feature maps, with additions of more than two or of tokens (transformers), with skip
            connections that cross blocks (U-Net), or with two equal branches.
    """
    _check_model(model)
    graph = Graph(model)
    segments = find_segments(graph)
    kind = _check_scores(graph, segments[-1].end)
    channels = None
    preprocessor = model.preprocessor if isinstance(model, keras_hub.models.Task) else None
    if prepare is None and preprocessor is not None:
        prepare = _make_preparation(preprocessor)
        channels = None if graph.channels_first else graph.shapes[graph.input][-1]
    return BlockStack(
        stem=_make_piece(graph, "stem", graph.input, segments[0].start),
        blocks=tuple(_make_blocks(graph, segments)),
        head=_make_piece(graph, "head", segments[-1].end, graph.output),
        prepare=prepare or _make_cast(model.inputs[0].shape),
        model=model,
        kind=kind,
        channels=channels,
        num_classes=graph.shapes[graph.output][-1],
    )


def _make_piece(graph, name, start, end):
    return Piece(name, list_layers(graph.between(start, [end])), _make_run(graph, start, end))


def _make_run(graph, start, end):
    network = graph.extract(start, [end])

    def run(x, training=None):
        return network(x, training=training)

    return run


def _make_blocks(graph, segments):
    stage = count = 0
    shape = None
    for segment in segments:
        if graph.shapes[segment.end] != shape:
            shape, stage, count = graph.shapes[segment.end], stage + 1, 0
        count += 1
        make = _make_transition if segment.mix is None else _make_block
        yield make(graph, segment, f"stage{stage}_block{count}", stage)


def _make_block(graph, segment, name, stage):
    """The piece of a block with an addition."""
    start, end, mix, shortcut = segment.start, segment.end, segment.mix, segment.shortcut
    ends = [segment.transform, shortcut, mix, end]
    network = graph.extract(start, ends)
    carry = _make_run(graph, start, shortcut)
    activation = graph.makers[end]

    def leave(y):
        values = {mix: y}
        if end != mix:
            activation(values)
        return values[end]

    def run(x, training=None):
        return network(x, training=training)[-1]

    def parts(x, training=None):
        values = network(x, training=training)
        parts = dict(zip(("transform", "shortcut", "mix", "output"), values))
        parts["transform_gate"], parts["carry_gate"] = effective_gates("residual")
        return parts

    def lesion(x, how="identity", training=None):
        check_lesion(how, name, "residual", shortcut != start)
        return leave(carry(x, training))

    calls = graph.between(start, ends)
    return BlockPiece(
        name,
        list_layers(calls),
        run,
        signature(calls, start, ends),
        stage=stage,
        changes_shape=shortcut != start,
        gating="residual",
        functions=(parts, lesion, leave),
    )


def _make_transition(graph, segment, name, stage):
    """The piece of layers between two blocks that change the shape."""
    run = _make_run(graph, segment.start, segment.end)

    def parts(x, training=None):
        y = run(x, training)
        parts = {"transform": y, "mix": y, "output": y}
        parts["transform_gate"], parts["carry_gate"] = effective_gates("plain")
        return parts

    def lesion(x, how="identity", training=None):
        check_lesion(how, name, "plain", changes_shape=True)  # which none can be

    calls = graph.between(segment.start, [segment.end])
    return BlockPiece(
        name,
        list_layers(calls),
        run,
        signature(calls, segment.start, [segment.end]),
        stage=stage,
        changes_shape=True,
        gating="plain",
        functions=(parts, lesion, lambda y: y),
    )


def _make_preparation(preprocessor):
    """What a preprocessor of KerasHub makes of images when the network predicts.

    Called on whole numbers outside of a data pipeline it would round what it resizes.
    """

    def prepare(images):
        return preprocessor(np.asarray(images, "float32"))

    return prepare if isinstance(preprocessor, keras_hub.models.Preprocessor) else preprocessor


def _make_cast(shape):
    """The preparation of images for a network without a preprocessor."""

    def prepare(images):
        x = keras.ops.cast(images, "float32")
        if len(x.shape) != 4 or any(
            n is not None and m != n for m, n in zip(x.shape[1:], shape[1:])
        ):
            sizes = ", ".join("any" if n is None else str(n) for n in shape[1:])
            raise checks.InputError(
                f"Expected images of the shape (n, {sizes}), as the network takes them. Received "
                f"{tuple(x.shape)}. Resize them, or pass prepare=..., a function that does it."
            )
        return x

    return prepare


def _check_model(model):
    """Raises `InputError` for a model without a graph from one image tensor to one output."""
    if not has_graph(model):
        raise checks.InputError(
            "Expected a functional Keras model, whose graph of layers is known. Received a "
            f"{type(model).__name__}, which is subclassed, or not built yet. Build it, or load a "
            "network with `from_preset` or `keras_hub.models.ImageClassifier.from_preset`."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) != 4:
        raise checks.InputError(
            "Expected a model from one image tensor (batch, height, width, channels) to class scores. "
            f"Received one with the inputs {[tuple(x.shape) for x in model.inputs]} and the outputs "
            f"{[tuple(x.shape) for x in model.outputs]}. Pass keras.Model(image, scores)."
        )


def _check_scores(graph, end):
    """What the scores are, "logits" or "probabilities".

    Raises:
        InputError: for a network that gives none.
    """
    shape = graph.shapes[graph.output]
    head = list_layers(graph.between(end, [graph.output]))
    classifies = any(len(v.shape) > 1 for layer in head for v in layer.weights)
    if len(shape) != 1 or shape[0] < 2 or not classifies:
        raise checks.InputError(
            "Expected a network that ends in a layer for class scores (batch, classes). Received one "
            f"that gives (batch, {', '.join(map(str, shape))})"
            f"{'' if classifies else ' and has no such layer'}. Build it with its top "
            "(include_top=True), or pass the ImageClassifier of a backbone."
        )
    return kind_of(last_activation(graph))
