"""Lengths and directions of what blocks add, against NumPy and finite differences."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis.geometry import Geometry, geometry
from keras_unrolled.analysis.observing import observe
from keras_unrolled.data.examples import Examples
from tests.analysis.small_nets import assert_same, chain, draw, look, make, split, to_numpy

BLOCKS = ["stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2"]
MEASURED = ("ratio", "cosine", "influence", "influence_positions")


def cosine(a, b):
    """The cosine of two vectors; 1 for two zeros, which are the same, and 0 for one."""
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if not min(lengths):
        return float(max(lengths) == 0)
    return (a * b).sum() / lengths[0] / lengths[1]


def expect(parts):
    """Image by image and position by position."""
    ratios, cosines, places = [], [], []
    for start, mix, end in zip(parts["shortcut"], parts["mix"], parts["output"]):
        ratios.append(np.linalg.norm(mix - start) / np.linalg.norm(start))
        cosines.append(cosine(start, end))
        pairs = zip(start.reshape(-1, start.shape[-1]), end.reshape(-1, end.shape[-1]))
        places.append(np.mean([cosine(a, b) for a, b in pairs]))
    means = [np.mean(v) for v in (ratios, cosines, places)]
    return [means[0], means[1], 1 - means[1], 1 - means[2]]


def softmax(scores):
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def cross_entropy(scores, labels):
    return -np.log(softmax(scores))[np.arange(len(labels)), labels]


@pytest.mark.parametrize("gating", ["residual", "full"])
def test_lengths_and_cosines_agree_with_numpy(gating, rng):
    model, (images, _) = make(gating), draw(rng, 23)
    parts, table = look(model, images), geometry(split(model), images)
    assert table["block"] == BLOCKS
    assert table["stage"] == [1, 1, 2, 2]
    for row in table:
        found = [row[column] for column in MEASURED]
        np.testing.assert_allclose(found, expect(parts[row["block"]]), rtol=1e-5, atol=1e-5)
        assert row["gradient_cosine"] is row["low"] is row["high"] is row["at"] is None


@pytest.mark.slow
def test_results_do_not_depend_on_the_batches(rng):
    stack, data = split(make("coupled")), draw(rng, 50)
    small, large = (
        observe(stack, data, [Geometry("output")], gradients="output", batch_size=size)["geometry"]
        for size in (3, 50)
    )
    assert_same(small, large, 1e-6)
    assert None not in small["low"]


def find_gradient(model, name, place, states, labels, step=1e-5):
    """The gradient of each image's loss at a block, by central differences in each unit."""
    blocks = [block for stage in model.backbone.stages for block in stage]
    number = [block.name for block in blocks].index(name)
    later = blocks[number + (place != "input") :] if place != "readout" else []

    def loss(states, labels):
        for block in later:
            states = block(states, training=False)
        scores = model.output_dense(model.pooler(states))
        return cross_entropy(to_numpy(scores), labels)

    gradients = []
    for state, label in zip(states, labels):
        steps = step * np.eye(state.size).reshape(-1, *state.shape)
        above, below = (loss(state + s, np.full(len(s), label)) for s in (steps, -steps))
        gradients.append(((above - below) / (2 * step)).reshape(state.shape))
    return gradients


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="float64 is off in JAX")
@pytest.mark.parametrize("place", ["input", "output", "readout"])
def test_gradients_agree_with_finite_differences(place, rng):
    model, (images, labels) = make("coupled", dtype="float64"), draw(rng, 4, size=4)
    parts, table = look(model, images), geometry(split(model), images, labels, at=place)
    entries = {b: parts[a]["output"] for a, b in zip(["stem", *BLOCKS], BLOCKS)}
    for row in table:
        name = row["block"]
        states = entries[name] if place == "input" else parts[name]["output"]
        added = parts[name]["mix"] - parts[name]["shortcut"]
        if states.shape != added.shape or (place == "readout" and row["stage"] == 1):
            assert row["gradient_cosine"] is None
            continue
        gradients = find_gradient(model, name, place, states, labels)
        expected = np.mean([cosine(f, -g) for f, g in zip(added, gradients)])
        assert row["gradient_cosine"] == pytest.approx(expected, abs=1e-5)
        assert row["at"] == place
    missing = {"input": 1, "output": 0, "readout": 2}[place]
    assert table["gradient_cosine"].count(None) == missing


def linear_network(rng, size=5, depth=3):
    """A network of linear blocks and its gradients, which follow from its matrices."""
    steps = [0.4 * rng.normal(size=(size, size)).astype("float32") for _ in range(depth)]
    head = rng.normal(size=(size, 4)).astype("float32")
    stack = chain([lambda x, m=m: x @ m for m in steps], lambda x: x @ head, 4)

    def look_inside(x, labels):
        states = [x.astype("float64")]
        for step in steps:
            states.append(states[-1] + states[-1] @ step)
        error = softmax(states[-1] @ head) - np.eye(4)[labels]
        gradients = [error @ head.T]
        for step in reversed(steps):
            gradients.append(gradients[-1] + gradients[-1] @ step.T)
        direct = [(softmax(s @ head) - np.eye(4)[labels]) @ head.T for s in states]
        return states, gradients[::-1], direct

    return stack, look_inside


@pytest.mark.parametrize("place", ["input", "output", "readout"])
def test_gradients_of_linear_networks_follow_from_their_matrices(place, rng):
    stack, look_inside = linear_network(rng)
    x, labels = rng.normal(size=(30, 5)).astype("float32"), rng.integers(0, 4, 30)
    states, gradients, direct = look_inside(x, labels)
    taken = {"input": gradients[:-1], "output": gradients[1:], "readout": direct[1:]}[place]
    table = geometry(stack, x, labels, at=place)
    for row, before, after, gradient in zip(table, states[:-1], states[1:], taken, strict=True):
        expected = [cosine(f, -g) for f, g in zip(after - before, gradient)]
        assert row["gradient_cosine"] == pytest.approx(np.mean(expected), abs=1e-5)
        rest = [np.mean(np.delete(expected, slice(g, None, 10))) for g in range(10)]
        half = 2.262 * np.sqrt(0.9 * ((rest - np.mean(rest)) ** 2).sum())
        assert row["high"] - row["gradient_cosine"] == pytest.approx(half, abs=1e-5)
        assert row["gradient_cosine"] - row["low"] == pytest.approx(half, abs=1e-5)


def test_small_gradients_have_a_direction_and_those_of_certain_images_none(rng):
    stack, look_inside = linear_network(rng, depth=1)
    x, labels = 1e-3 * rng.normal(size=(40, 5)).astype("float32"), np.zeros(40, int)
    states, (gradients, _), _ = look_inside(x, labels)
    cosines = [cosine(b - a, -g) for a, b, g in zip(*states, gradients)]

    def find(scale):
        accumulator = Geometry("input")
        accumulator.start(stack)
        parts = {"shortcut": x, "mix": states[1].astype("float32")}
        parts["output"] = parts["mix"]
        gradient = (scale * gradients).astype("float32")
        gradient[::2] = 0  # of images classified with certainty
        accumulator.update(
            SimpleNamespace(
                parts={"stage1_block1": parts}, gradients={"input": {"stage1_block1": gradient}}
            )
        )
        return accumulator.result()["gradient_cosine"][0]

    for scale in (1, 1e-6, 1e-10):
        assert find(scale) == pytest.approx(np.mean(cosines[1::2]), abs=1e-5)
    assert find(0) is None


def test_blocks_that_add_nothing_move_nothing(rng):
    model, (images, labels) = make(normalization=None), draw(rng, 21)
    for stage in model.backbone.stages:
        for block in stage:
            for weight in block.transform.weights:
                weight.assign(0 * weight)
    # The stem ends in a ReLU, after which some positions are 0 in all channels.
    stem = model.backbone.get_layer("stem")
    bias = next(w for w in stem.weights if w.path.endswith("bias"))
    bias.assign(bias - 1.0)
    assert (look(model, images)["stem"]["output"].max(-1) == 0).any()
    table = geometry(split(model), images, labels, at="output")
    for row in table:
        assert row["ratio"] == row["gradient_cosine"] == 0
        if row["block"] != "stage2_block1":  # whose projection is followed by a ReLU
            assert row["cosine"] == pytest.approx(1, abs=1e-6)
            assert row["influence"] == pytest.approx(0, abs=1e-6)
            assert row["influence_positions"] == pytest.approx(0, abs=1e-6)


def test_images_without_a_shortcut_are_left_out_of_the_ratio(rng):
    x = rng.normal(size=(8, 3)).astype("float32")
    x[2] = 0
    (row,) = geometry(chain([lambda x: 0.5 * x + 1e-3]), x)
    kept = np.delete(x, 2, 0)
    lengths = np.linalg.norm(0.5 * kept + 1e-3, axis=1) / np.linalg.norm(kept, axis=1)
    assert row["ratio"] == pytest.approx(lengths.mean(), rel=1e-5)
    (row,) = geometry(chain([lambda x: x + 1]), 0 * x)
    assert row["ratio"] is None


def test_labels_of_examples_are_used(rng):
    stack, (images, labels) = split(make()), draw(rng, 8)
    examples = Examples(images, labels, tuple("abcd"), "test")
    assert_same(geometry(stack, examples), geometry(stack, images, labels), 1e-6)


def test_plain_blocks_have_no_rows_and_headless_networks_no_gradient(rng):
    images, labels = draw(rng, 5)
    assert len(geometry(split(make("plain")), images, labels)) == 0
    with pytest.raises(InputError, match="Leave labels out"):
        geometry(chain([lambda x: x]), np.ones((2, 3)), np.array([0, 1]))


def test_what_does_not_fit_is_rejected(rng):
    stack, (images, labels) = split(make()), draw(rng, 5)
    with pytest.raises(InputError, match="Expected `at`"):
        geometry(stack, images, labels, at="middle")
    with pytest.raises(InputError, match="Expected a class number"):
        geometry(stack, images, labels + 4)
