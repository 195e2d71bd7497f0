"""Small networks whose features are known, for tests of what is measured in them, on any backend."""

import numpy as np
from keras import ops

from keras_unrolled import models
from keras_unrolled.analysis.stack import BlockPiece, BlockStack, Piece, as_stack
from tests.nets import randomize

SHAPE = {
    "stackwise_num_filters": [4, 6],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_strides": [1, 2],
    "stem": "cifar",
    "stem_filters": 4,
}
CLASSES = 4


def make(gating="residual", seed=0, classes=CLASSES, **options):
    """A random classifier, with stages of 4 and 6 channels unless options say otherwise."""
    backbone = models.ImageBackbone(**{**SHAPE, "gating": gating, **options})
    model = models.ImageClassifier(backbone, classes)
    randomize(model, seed)
    return model


def scale(images):
    """What goes into the network: images on a scale that does not saturate its scores."""
    return ops.cast(ops.convert_to_tensor(np.asarray(images, "float32") / 64 - 2), "float32")


def split(model):
    return as_stack(model, prepare=scale)


def draw(rng, n, size=8):
    """Images `(n, size, size, 3)`, each class of another colour, and labels; no class is missing."""
    labels = rng.permutation(np.concatenate([np.arange(CLASSES), rng.integers(0, CLASSES, n - 4)]))
    colours = np.array([[0, 0, 0], [90, 0, 0], [0, 90, 0], [0, 0, 90]])
    images = rng.integers(0, 160, (n, size, size, 3)) + colours[labels][:, None, None]
    return images.astype("uint8"), labels


def look(model, images):
    """The parts of every block as NumPy arrays, from one uncompiled pass over all images."""
    x = model.backbone.get_layer("stem")(scale(images), training=False)
    found = {"stem": {"output": to_numpy(x)}}
    for stage in model.backbone.stages:
        for block in stage:
            parts = block.parts(x, training=False)
            x = parts["output"]
            found[block.name] = {name: to_numpy(value) for name, value in parts.items()}
    return found


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def chain(functions, head=None, classes=None):
    """A network of residual blocks y = F(x) + x for given F, whose stem is the identity.

    Args:
        functions: list of functions F of a tensor; they become blocks of one stage.
        head: optional function from the last block's output to logits.
        classes: optional int.
    """

    def make_block(number, function):
        def parts(x, training=False):
            one, f = ops.ones(()), function(x)
            found = {"transform_gate": one, "carry_gate": one, "transform": f, "shortcut": x}
            return {**found, "mix": f + x, "output": f + x}

        return BlockPiece(
            f"stage1_block{number}",
            [],
            lambda x, training=False: parts(x)["output"],
            stage=1,
            changes_shape=False,
            gating="residual",
            functions=(parts, None, lambda y: y),
        )

    return BlockStack(
        stem=Piece("stem", [], lambda x, training=False: x),
        blocks=tuple(make_block(i, f) for i, f in enumerate(functions, start=1)),
        head=Piece("head", [], lambda x, training=False: head(x)) if head else None,
        prepare=lambda x: np.asarray(x, "float32"),
        model=None,
        num_classes=classes,
    )


def assert_same(found, expected, tolerance):
    """Tables with the same values up to a tolerance relative to 1 and to the value."""
    assert found.columns == expected.columns
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        for column in found.columns:
            a, b = ours[column], theirs[column]
            if isinstance(a, float) and isinstance(b, float):
                assert abs(a - b) <= tolerance * max(1, abs(b)), (column, a, b)
            else:
                assert a == b, (column, a, b)
