"""Centered kernel alignment against explicit sums."""

import itertools
import math

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis.cka import cka
from tests.analysis.small_nets import assert_same, chain, draw, look, make, split

BLOCKS = ["stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2"]


def hsic(x, y):
    """The unbiased HSIC of linear kernels as means over ordered tuples of different images.

    It estimates E k(1,2) l(1,2) + E k(1,2) E l(3,4) - 2 E k(1,2) l(1,3).
    """
    k, m = x @ x.T, y @ y.T
    n = len(k)
    pairs = sum(k[i, j] * m[i, j] for i, j in itertools.permutations(range(n), 2))
    triples = sum(k[i, j] * m[i, q] for i, j, q in itertools.permutations(range(n), 3))
    fours = sum(k[i, j] * m[q, r] for i, j, q, r in itertools.permutations(range(n), 4))
    counts = [math.perm(n, size) for size in (2, 3, 4)]
    return pairs / counts[0] + fours / counts[2] - 2 * triples / counts[1]


def expect(x, y, size=None):
    """CKA of features `(n, ...)`, each HSIC averaged over batches, weighted by their images."""
    x, y = (v.reshape(len(v), -1) for v in (x, y))
    starts = range(0, len(x), size or len(x))
    parts = [slice(s, s + (size or len(x))) for s in starts if len(x) - s >= 4]
    sizes = [len(x[part]) for part in parts]
    xy, xx, yy = (
        np.average([hsic(a[part], b[part]) for part in parts], weights=sizes)
        for a, b in ((x, y), (x, x), (y, y))
    )
    return xy / np.sqrt(xx * yy)


@pytest.mark.parametrize("size", [None, 4, 5])
def test_values_agree_with_explicit_sums(size, rng):
    model, (images, _) = make("coupled"), draw(rng, 9)  # of 5 the last batch has 4, of 4 only 1
    parts, table = look(model, images), cka(split(model), images, batch_size=size)
    assert list(zip(table["block"], table["other"])) == list(itertools.product(BLOCKS, BLOCKS))
    for row in table:
        x, y = (parts[row[column]]["output"] for column in ("block", "other"))
        assert row["cka"] == pytest.approx(expect(x, y, size), abs=1e-5)


@pytest.mark.slow
def test_two_networks_are_compared_block_by_block(rng):
    first, second = make("coupled"), make("full", seed=1, stackwise_num_blocks=[2, 1])
    images, _ = draw(rng, 8)
    table = cka(split(first), images, other=split(second))
    ours, theirs = look(first, images), look(second, images)
    assert list(zip(table["block"], table["other"])) == list(itertools.product(BLOCKS, BLOCKS[:3]))
    for row in table:
        x, y = ours[row["block"]]["output"], theirs[row["other"]]["output"]
        assert row["cka"] == pytest.approx(expect(x, y), abs=1e-5)
    for row in cka(split(first), images, other=split(first)):
        if row["block"] == row["other"]:
            assert row["cka"] == pytest.approx(1, abs=1e-6)


def test_diagonal_is_exactly_1_and_the_table_symmetric(rng):
    table = cka(split(make()), draw(rng, 30)[0], batch_size=7)
    values = np.array(table["cka"]).reshape(4, 4)
    np.testing.assert_array_equal(np.diagonal(values), 1)
    np.testing.assert_allclose(values, values.T, atol=1e-12)
    assert values.max() <= 1


def test_rotation_scale_and_shift_of_features_change_nothing(rng):
    x = rng.normal(size=(40, 6)).astype("float32")
    step = rng.normal(size=(6, 6)).astype("float32")
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0].astype("float32")
    plain = chain([lambda x: x @ step, lambda x: x**2])
    expected = cka(plain, x)
    # The block adds what makes its output a rotated, scaled and shifted one of the same features.
    turned = chain(
        [
            lambda x: 3.0 * (x + x @ step) @ rotation + 5.0 - x,
            lambda x: ((x - 5.0) / 3.0 @ rotation.T) ** 2 + (x - 5.0) / 3.0 @ rotation.T - x,
        ]
    )
    assert_same(cka(turned, x), expected, 1e-4)
    found = cka(plain, x, other=turned)
    assert found["cka"][0] == pytest.approx(1, abs=1e-5)
    assert found["cka"][1] == pytest.approx(expected["cka"][1], abs=1e-5)


@pytest.mark.slow
def test_independent_features_have_none_on_average_and_batches_change_the_noise_only(rng):
    values = {}
    for size in (10, 60):
        found = []
        for _ in range(30):
            x = rng.normal(size=(60, 6)).astype("float32")
            halves = chain([lambda x: x * np.float32([0, 0, 0, -1, -1, -1])])
            others = chain([lambda x: x * np.float32([-1, -1, -1, 0, 0, 0])])
            found.append(cka(halves, x, other=others, batch_size=size)["cka"][0])
        values[size] = np.mean(found), np.std(found) / np.sqrt(30)
    for mean, error in values.values():
        assert abs(mean) < 4 * error
        assert error < 0.03


def test_small_last_batch_weighs_as_much_as_its_images(rng):
    x = rng.normal(size=(104, 8)).astype("float32")
    network = chain([lambda x: 0 * x, lambda x: x**2 + 0.3 * x**3])
    (value,) = cka(network, x, batch_size=100).where(block="stage1_block1", other="stage1_block2")[
        "cka"
    ]
    first, last = x[:100].astype("float64"), x[100:].astype("float64")
    terms = []
    for part in (first, last):
        y = part + part**2 + 0.3 * part**3
        terms.append([fast_hsic(a, b) for a, b in ((part, y), (part, part), (y, y))])
    xy, xx, yy = np.average(terms, axis=0, weights=[100, 4])
    assert value == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-5)


def fast_hsic(x, y):
    """`hsic` in matrices, for more images; after Song et al. 2012."""
    k, m = (v @ v.T * (1 - np.eye(len(v))) for v in (x, y))
    n, one = len(k), np.ones(len(k))
    middle = (one @ k @ one) * (one @ m @ one) / (n - 1) / (n - 2)
    return (np.trace(k @ m) + middle - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))


def test_matrix_form_of_the_estimate_equals_the_sums(rng):
    x, y = rng.normal(size=(2, 7, 3))
    assert fast_hsic(x, y) == pytest.approx(hsic(x, y))


def test_blocks_that_add_nothing_are_alike(rng):
    table = cka(chain([lambda x: 0 * x] * 3), rng.normal(size=(20, 4)).astype("float32"))
    np.testing.assert_allclose(table["cka"], 1, atol=1e-12)


def test_features_that_are_the_same_for_all_images_have_no_value(rng):
    x = rng.normal(size=(20, 4)).astype("float32")
    table = cka(chain([lambda x: x, lambda x: -x, lambda x: x + 0.1]), x)
    assert table["cka"] == [1.0] + [None] * 8


def test_what_does_not_fit_is_rejected(rng):
    stack, (images, _) = split(make()), draw(rng, 5)
    with pytest.raises(InputError, match="Expected 4 images or more"):
        cka(stack, images[:3])
    with pytest.raises(InputError, match="batch_size"):
        cka(stack, images, batch_size=3)
