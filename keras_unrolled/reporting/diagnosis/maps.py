"""Where in a picture a network sees the class it answers, and where its last gate is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.observing import find_gradient
from keras_unrolled.analysis.stack import as_stack

LEAST = 1e-30  # a probability whose logarithm is taken


@dataclass
class Maps:
    """What was found in one picture.

    Args:
        picture: array `(height, width, channels)`, the picture as it is resized and cropped for the
            network, on a scale of 0 to 255.
        by_class: float array `(rows, columns)`, how much each place speaks for a class, 0 at least.
        gate: float array `(rows, columns)`, the mean of the last block's transform gate over the
            channels, or None for a gate that is fixed.
    """

    picture: np.ndarray
    by_class: np.ndarray
    gate: np.ndarray | None


def make_maps(model: Any, images: Sequence[np.ndarray], classes: Sequence[int]) -> list[Maps]:
    """Gradient-weighted class activation maps (Grad-CAM, Selvaraju et al. 2017), and gate maps.

    The map is the ReLU of the sum over the channels of the last block's output, each weighted by the
    mean over the places of the gradient there of the class's logit (of the logarithm of its probability
    for a network that gives probabilities).

    Args:
        model: an `ImageClassifier` with a preprocessor.
        images: list of arrays `(height, width, channels)` on a scale of 0 to 255.
        classes: list of ints, the class to look for in each.

    Returns:
        A list of `Maps`.
    """
    stack = as_stack(model)
    runner, steep = Runner(stack), Runner(stack, differentiable=True)
    found = []
    for image, number in zip(images, classes):
        x = runner(stack.stem, ops.convert_to_tensor(stack.prepare(image[None])))
        for block in stack.blocks[:-1]:
            x = runner(block, x)
        parts = runner(stack.blocks[-1], x, "parts")
        gate = parts["transform_gate"]
        is_map = len(gate.shape) == 4
        found.append(
            Maps(
                _crop(model, image),
                _map_class(stack, steep, parts["output"], int(number)),
                _to_array(ops.mean(ops.cast(gate, "float32"), -1))[0] if is_map else None,
            )
        )
    return found


def _map_class(stack, runner, state, number):
    """Grad-CAM of one picture at the last block's output `(1, rows, columns, channels)`."""

    def score(arguments):
        scores = ops.cast(runner(stack.head, arguments[0]), "float32")
        if stack.kind == "probabilities":
            scores = ops.log(ops.maximum(scores, LEAST))
        return ops.sum(scores[:, number])

    (gradient,) = find_gradient(score, [state])
    gradient, state = ops.cast(gradient, "float32"), ops.cast(state, "float32")
    weights = ops.mean(gradient, (1, 2), keepdims=True)
    return _to_array(ops.relu(ops.sum(weights * state, -1)))[0]


def _crop(model, image):
    """A picture as the network sees it, before it is normalized."""
    converter = model.preprocessor.image_converter
    if converter.image_size is None:
        return image
    return _to_array(converter.resizing(image[None]))[0]


def _to_array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))
