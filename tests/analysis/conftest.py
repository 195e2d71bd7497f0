"""Small networks with weights at random, and what they compute in NumPy."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.analysis import small_nets
from tests.layers.test_block import convolve, normalize, reference, relu

SHAPE = {**small_nets.SHAPE, "stackwise_num_filters": [8, 16], "stem_filters": 8}
SHAPE["stackwise_num_blocks"] = [3, 3]
CLASSES = 5


def make(gating="residual", seed=0, **options):
    """An `ImageClassifier` of two stages of three blocks for float images, of any size."""
    model = small_nets.make(gating, seed, CLASSES, **{**SHAPE, **options})
    for stage in model.backbone.stages:
        for block in stage:  # smaller steps, as of trained networks
            block.transform.norms[-1].gamma.assign(block.transform.norms[-1].gamma * 0.3)
    return model


def blocks_of(model):
    return {block.name: block for stage in model.backbone.stages for block in stage}


def run_in_numpy(model, images, steps):
    """Logits in float64 of a post-activated network whose blocks are `steps`, functions or names."""
    blocks = blocks_of(model)
    stem = model.backbone.get_layer("stem")
    x = convolve(np.asarray(images, "float64"), np.asarray(stem.conv.kernel, "float64"), None, 1)
    x = relu(normalize(x, stem.norm))
    for step in steps:
        x = step(x) if callable(step) else reference(x, blocks[step])
    return head_in_numpy(model, x)


def head_in_numpy(model, x):
    kernel, bias = (np.asarray(w, "float64") for w in model.output_dense.weights)
    return x.mean((1, 2)) @ kernel + bias


@pytest.fixture
def images(rng):
    return rng.normal(size=(30, 12, 12, 3)).astype("float32")


@pytest.fixture
def labels(rng):
    return rng.integers(0, CLASSES, 30)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    found, save = [], Figure.savefig

    def remember(figure, *args, **kwargs):
        found.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", remember)
    return found
