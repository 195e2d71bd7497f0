import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.layers import WordEncoder


def make(**options):
    options = {
        "num_characters": 12,
        "character_dim": 5,
        "filter_widths": (1, 2, 4),
        "num_filters": (3, 4, 2),
        "num_layers": 1,
        **options,
    }
    return WordEncoder(**options)


def fill(layer, rng):
    layer.build((None, 6))
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))


def array(x):
    return keras.ops.convert_to_numpy(x)


def reference(layer, word):
    """Kim et al. 2016, equations 5 to 8, filter by filter, zeros after the word."""
    vectors = np.concatenate([array(layer.embedding)[word], np.zeros((8, layer.character_dim))])
    features, at = [], 0
    for kernel in map(array, layer.kernels):
        for filter_ in np.moveaxis(kernel, -1, 0):
            places = [
                np.tanh((vectors[i : i + len(filter_)] * filter_).sum() + array(layer.bias)[at])
                for i in range(len(vectors) - len(filter_) + 1)
            ]
            features.append(max(places))
            at += 1
    y = np.array(features)
    for highway in layer.layers:
        h = np.maximum(0, y @ array(highway.transform.kernel) + array(highway.transform.bias))
        gate = highway.transform_gate
        t = 1 / (1 + np.exp(-(y @ array(gate.kernel) + array(gate.bias))))
        y = h * t + y * (1 - t)
    return y


def test_word_is_read_as_kim_et_al_read_it(rng):
    layer = make(num_layers=2)
    fill(layer, rng)
    words = [[1, 5, 2], [1, 7, 8, 9, 10, 2], [3], [1, 11, 5, 2]]
    padded = np.array([w + [0] * (6 - len(w)) for w in words])
    found = array(layer(padded))
    for row, word in zip(found, words):
        np.testing.assert_allclose(row, reference(layer, word), rtol=1e-4, atol=1e-5)


def test_word_reads_the_same_however_far_it_is_filled_up(rng):
    layer = make()
    fill(layer, rng)
    word = np.array([[1, 5, 6, 2]])
    short = array(layer(word))
    np.testing.assert_allclose(array(layer(np.pad(word, [(0, 0), (0, 9)]))), short, atol=1e-6)
    assert array(layer(word[None, :, :3])).shape == (1, 1, 9)


@pytest.mark.parametrize("gating", ["plain", "residual", "full", "c_only", "t_only"])
def test_every_gating_has_its_layers(gating, rng):
    layer = make(gating=gating, num_layers=3)
    fill(layer, rng)
    matrices = {"full": 3, "c_only": 2, "t_only": 2}.get(gating, 1)
    assert sum(part.count_params() for part in layer.layers) == 3 * matrices * (81 + 9)
    assert np.isfinite(array(layer(np.array([[1, 2, 3]])))).all()


def test_kernels_start_from_different_draws():
    layer = make(filter_widths=(2, 2), num_filters=(3, 3))
    layer.build((None, 6))
    assert not np.allclose(*map(array, layer.kernels))


def test_impossible_filters_are_rejected():
    with pytest.raises(InputError, match="a number of filters for each width"):
        make(num_filters=(1, 2))
    with pytest.raises(InputError, match="filter_widths"):
        make(filter_widths=(1, 0, 2))
    with pytest.raises(InputError, match="Did you mean 'coupled'"):
        make(gating="couple")
