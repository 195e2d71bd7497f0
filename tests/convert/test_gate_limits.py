"""Biases with which regating keeps the function are accepted, all others rejected with a range."""

import itertools
import re
import warnings

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.convert import regate
from tests.conftest import first_fast
from tests.convert.test_regate import make, relative_difference

GRID = (-30.0, -15.0, -5.0, 0.0, 5.0, 15.0, 30.0)
MOST = 1e-3  # of the largest score, as documented


def difference_or_range(old, gating, **biases):
    """How far the new scores are off, or the range that the message of a rejection names."""
    x = np.random.default_rng(3).normal(size=(2, 8, 8, 3)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            new = regate(old, gating, **biases)
        except InputError as error:
            name, *ends = re.search(r"Expected `(\w+)` from (\S+) to (\S+),", str(error)).groups()
            return name, *map(float, ends)
    return relative_difference(old, new, x)


def check_grid(old, gating, values):
    """Every point is accepted and keeps the scores, or is outside of the range that is named."""
    names = {"coupled": ("transform_bias",), "t_only": ("transform_bias",)}
    names |= {"c_only": ("carry_bias",), "full": ("transform_bias", "carry_bias")}
    accepted, edges = 0, {}
    for point in itertools.product(values, repeat=len(names[gating])):
        biases = dict(zip(names[gating], point))
        found = difference_or_range(old, gating, **biases)
        if isinstance(found, tuple):
            name, least, most = found
            assert not least <= biases[name] <= most
            edges[name] = least, most
        else:
            assert found < MOST  # which NaN is not
            accepted += 1
    for name, ends in edges.items():  # what the message names is accepted itself
        for end in ends:
            assert difference_or_range(old, gating, **{name: end}) < MOST
    return accepted, edges


@pytest.mark.parametrize("order", first_fast("post", "pre"))
def test_accepted_biases_of_a_coupled_gate_keep_the_scores(order):
    accepted, edges = check_grid(make(activation_order=order), "coupled", GRID)
    assert accepted >= 4
    assert edges.keys() == {"transform_bias"}


@pytest.mark.slow
@pytest.mark.parametrize("gating", ["full", "c_only", "t_only"])
@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("shortcut", ["projection", "pad"])
def test_accepted_biases_of_other_gates_keep_the_scores(gating, order, shortcut):
    old = make(activation_order=order, shortcut=shortcut)
    accepted, _ = check_grid(old, gating, GRID[::2] if gating == "full" else GRID)
    assert accepted >= 4


def test_deep_stage_allows_less():
    old = make(stackwise_num_blocks=[5, 1])
    accepted, edges = check_grid(old, "c_only", (-13.0, -10.0))
    assert accepted == 1
    assert edges["carry_bias"][0] == pytest.approx(np.log(1e-5), abs=0.01)  # c ** 5 >= 1e-25


@pytest.mark.slow
def test_more_blocks_leave_a_coupled_gate_less_room():
    three = {"stackwise_num_filters": [4, 6, 8], "stackwise_num_strides": [1, 2, 2]}
    old = make(**three, stackwise_num_blocks=[5, 5, 5])
    _, edges = check_grid(old, "coupled", (6.8,))
    assert edges["transform_bias"][1] == pytest.approx(np.log(5e-4 / 15 * 2**24), abs=0.02)


@pytest.mark.parametrize("bias", [12.0, 20.0, 50.0, -100.0])
def test_preset_is_not_converted_with_a_gate_that_is_closed(bias, monkeypatch):
    monkeypatch.setattr(models.ImageClassifier, "get_config", None)  # nothing is built
    message = rf"`transform_bias` from -57\.56 to 6\.39,.* Received: transform_bias={bias}\. Choose"
    with pytest.raises(InputError, match=message):
        ku.from_preset("resnet_bn_cifar10", gating="coupled", transform_bias=bias)


@pytest.mark.parametrize("bias", [float("nan"), float("inf"), "1", None, 101])
def test_bias_that_is_no_number_in_range_is_rejected(bias):
    for name in ("transform_bias", "carry_bias"):
        with pytest.raises(InputError, match=f"Expected `{name}` to be a number"):
            regate(make(), "full", **{name: bias})


def test_half_precision_allows_less():
    old = make(dtype="mixed_float16")
    name, least, most = difference_or_range(old, "coupled", transform_bias=-12.0)
    assert (name, round(least), round(most)) == ("transform_bias", -7, 2)
