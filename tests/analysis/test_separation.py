"""Separation of classes by blocks, against pseudo-inverses of whole matrices."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis.observing import observe
from keras_unrolled.analysis.separation import Scatter, Separation, fit, separation
from tests.analysis.small_nets import assert_same, chain, draw, look, make, split

BLOCKS = ("stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2")


def covariances(features, labels):
    """SSw, SSb with each image counting once, and Sb with each class counting once."""
    features = features.astype("float64")
    overall, classes = features.mean(0), np.unique(labels)
    within = between = 0
    for x, y in zip(features, labels):
        mean = features[labels == y].mean(0)
        within = within + np.outer(x - mean, x - mean) / len(features)
        between = between + np.outer(mean - overall, mean - overall) / len(features)
    means = [features[labels == y].mean(0) - overall for y in classes]
    return within, between, sum(np.outer(m, m) for m in means) / len(classes), len(classes)


def expect(features, labels):
    within, between, of_classes, count = covariances(features, labels)
    fuzziness = np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True))
    inverse = np.linalg.pinv(of_classes, rcond=1e-10, hermitian=True)
    return fuzziness, np.log(fuzziness), np.trace(within @ inverse) / count


def measure(features, labels):
    scatter = Scatter.of(np.asarray(features, "float64"), np.asarray(labels))
    return np.array([scatter.fuzziness(), scatter.log_fuzziness(), scatter.nc1()])


def gaussians(rng, n, classes=3, channels=4, distance=3.0):
    """Float32 features around class means, with as many images of each class."""
    labels = np.arange(n) % classes
    means = distance * np.eye(classes, channels)
    return (means[labels] + rng.normal(size=(n, channels))).astype("float32"), labels


@pytest.mark.parametrize("gating", ["coupled", "plain"])
def test_every_block_agrees_with_pseudo_inverses_of_whole_matrices(gating, rng):
    model, (images, labels) = make(gating), draw(rng, 60)
    labels[labels == 2] = 3  # one class is missing, another is frequent
    parts = look(model, images)
    table = separation(split(model), images, labels)
    assert table["block"] == ["stem", *BLOCKS]
    assert table["stage"] == [0, 1, 1, 2, 2]
    for row in table:
        features = parts[row["block"]]["output"].mean((1, 2))
        found = [row["fuzziness"], row["log_fuzziness"], row["nc1"]]
        # Rounding in a compiled graph is multiplied by the inverse of the scatter within classes.
        np.testing.assert_allclose(found, expect(features, labels), rtol=1e-4)
    logs = np.array(table["log_fuzziness"][1:])
    slope, start = np.polyfit(np.arange(1, 5), logs, 1)
    rest = ((logs - start - slope * np.arange(1, 5)) ** 2).sum()
    assert table["slope"] == [pytest.approx(slope)] * 5
    assert table["r2"] == [pytest.approx(1 - rest / ((logs - logs.mean()) ** 2).sum())] * 5


def test_results_do_not_depend_on_the_batches(rng):
    matrix = rng.normal(size=(4, 4)).astype("float32")
    stack, data = chain([lambda x: x @ matrix] * 3), gaussians(rng, 50)
    small, large = (
        observe(stack, data, [Separation()], batch_size=size)["separation"] for size in (3, 50)
    )
    assert_same(small, large, 1e-6)
    assert None not in small["low"]


def test_classes_that_are_points_have_fuzziness_0(rng):
    labels = rng.permutation(np.arange(33) % 3)
    codes = rng.normal(size=(3, 5)).astype("float32")
    table = separation(chain([lambda x: x * 0.3] * 3), codes[labels], labels)
    assert table["fuzziness"] == table["nc1"] == [0.0] * 4
    for column in ("log_fuzziness", "low", "high", "slope", "r2"):
        assert table[column] == [None] * 4


@pytest.mark.parametrize("factor", [0.1, 5.0])
def test_noise_within_classes_counts_squared(factor, rng):
    features, labels = gaussians(rng, 60)
    means = np.array([features[labels == y].mean(0, dtype="float64") for y in range(3)])
    noise = features - means[labels]
    before, after = (measure(means[labels] + c * noise, labels) for c in (1, factor))
    np.testing.assert_allclose(after[[0, 2]], factor**2 * before[[0, 2]])


def test_geometric_decay_gives_its_rate_and_a_perfect_fit(rng):
    # Features [u, c] with the class's code c: each block moves u toward c by a fifth.
    labels, codes = np.arange(60) % 3, rng.normal(size=(3, 4))
    noise = rng.normal(size=(60, 4))
    noise -= np.array([noise[labels == y].mean(0) for y in range(3)])[labels]
    features = np.concatenate([codes[labels] + noise, codes[labels]], 1).astype("float32")
    matrix = np.zeros((8, 8), "float32")
    matrix[:4, :4], matrix[4:, :4] = -0.2 * np.eye(4), 0.2 * np.eye(4)
    table = separation(chain([lambda x: x @ matrix] * 5), features, labels)
    assert table["slope"] == [pytest.approx(2 * np.log(0.8), rel=1e-5)] * 6
    assert table["r2"] == [pytest.approx(1, abs=1e-9)] * 6


def test_blocks_that_add_nothing_separate_nothing(rng):
    features, labels = gaussians(rng, 40)
    table = separation(chain([lambda x: 0 * x] * 3), features, labels)
    assert len(set(table["fuzziness"])) == 1
    assert table["slope"] == [pytest.approx(0, abs=1e-12)] * 4
    assert table["r2"] == [None] * 4


def test_rotation_and_scale_of_the_features_change_nothing(rng):
    features, labels = gaussians(rng, 60, channels=6)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    expected = measure(features, labels)
    turned = 7.0 * features.astype("float64") @ rotation
    np.testing.assert_allclose(measure(turned, labels), expected, rtol=1e-9)


def test_nc1_is_a_share_of_the_fuzziness_for_classes_of_one_size(rng):
    fuzziness, _, nc1 = measure(*gaussians(rng, 60))
    assert nc1 == pytest.approx(fuzziness / 3)
    assert measure(*gaussians(rng, 61))[2] != pytest.approx(fuzziness / 3)


@pytest.mark.parametrize("classes", [3, 9])
def test_channels_that_repeat_others_and_missing_directions_are_left_out(classes, rng):
    features, labels = gaussians(rng, 90, classes)
    once = measure(features, labels)
    np.testing.assert_allclose(once, expect(features, labels), rtol=1e-8)
    almost = features + 1e-7 * rng.normal(size=features.shape)  # as float32 rounds
    twice = measure(np.concatenate([features, almost], 1), labels)
    np.testing.assert_allclose(twice, once, rtol=1e-4)


def test_features_that_do_not_depend_on_the_class_have_no_fuzziness():
    features, labels = np.full((30, 3), 0.1, "float32"), np.arange(30) % 3
    table = separation(chain([lambda x: x]), features, labels)
    for column in ("fuzziness", "log_fuzziness", "nc1", "low", "high", "slope", "r2"):
        assert table[column] == [None] * 2


def test_scatters_merge_and_part_as_if_computed_at_once(rng):
    features, labels = gaussians(rng, 50, classes=4)
    features = features + 1e4  # what cancels in sums of squares
    first, second = (Scatter.of(features[part], labels[part]) for part in np.split(range(50), [2]))
    merged, whole = first.merge(second), Scatter.of(features, labels)
    np.testing.assert_array_equal(merged.counts, whole.counts)
    np.testing.assert_allclose(merged.within, whole.within, rtol=1e-9, atol=1e-9)
    rest = whole.merge(first, sign=-1)
    np.testing.assert_allclose(rest.fuzziness(), second.fuzziness(), rtol=1e-7)
    np.testing.assert_allclose(rest.means, second.means)


def trace(features, labels):
    return SimpleNamespace(first=features, outputs={"stage1_block1": features}, labels=labels)


def start():
    accumulator = Separation()
    accumulator.start(SimpleNamespace(blocks=[SimpleNamespace(name="stage1_block1", stage=1)]))
    return accumulator


def test_interval_is_the_jackknife_over_groups_that_spread_the_classes(rng):
    features, labels = gaussians(rng, 47, classes=10, channels=12)  # classes take turns
    accumulator = start()
    groups = accumulator._assign(labels)
    for group in range(10):
        sizes = np.bincount(labels[groups == group], minlength=10)
        assert sizes.max() <= 1
        assert 4 <= sizes.sum() <= 5
    rest = [expect(features[groups != g], labels[groups != g])[1] for g in range(10)]
    half = 2.262 * np.sqrt(0.9 * ((rest - np.mean(rest)) ** 2).sum())
    accumulator = start()
    accumulator.update(trace(features, labels))
    (row, _) = accumulator.result()
    assert row["high"] - row["log_fuzziness"] == pytest.approx(half, rel=1e-4)
    assert row["log_fuzziness"] - row["low"] == pytest.approx(half, rel=1e-4)


def test_no_group_is_empty_from_twenty_images_on(rng):
    for classes, n in itertools.product((1, 2, 7, 40), (20, 21, 33)):
        assert set(start()._assign(np.arange(n) % classes)) == set(range(10))
        assert set(start()._assign(np.sort(rng.integers(0, classes, n)))) == set(range(10))


@pytest.mark.slow
def test_interval_covers_the_true_value_in_95_percent_of_the_draws(rng):
    means, shares = 3 * np.eye(3, 4), np.full(3, 1 / 3)
    apart = means - shares @ means
    true = np.log(np.trace(np.linalg.pinv(apart.T @ apart / 3)))
    covered = []
    for _ in range(200):
        accumulator = start()
        accumulator.update(trace(*gaussians(rng, 150)))
        row = accumulator.result().rows[0]
        covered.append(row["low"] <= true <= row["high"])
    assert 0.9 < np.mean(covered) < 0.99


def test_few_images_have_no_interval(rng):
    table = separation(chain([lambda x: x]), *gaussians(rng, 18))
    assert table["low"] == table["high"] == [None, None]
    assert None not in table["fuzziness"]


def test_line_leaves_out_what_is_not_defined():
    assert fit([None, None, 3.0]) == (None, None)
    assert fit([4.0, None, 3.0]) == (pytest.approx(-0.5), None)
    slope, r2 = fit([4.0, None, 3.0, 2.0])
    assert slope == pytest.approx(np.polyfit([0, 2, 3], [4, 3, 2], 1)[0])
    assert r2 == pytest.approx(np.corrcoef([0, 2, 3], [4, 3, 2])[0, 1] ** 2)


def test_what_cannot_be_measured_is_rejected(rng):
    stack, (features, _) = chain([lambda x: x]), gaussians(rng, 9)
    with pytest.raises(InputError, match="Expected labels for separation"):
        separation(stack, features)
    for labels in (np.zeros(9, int), np.arange(9), np.array([0] * 8 + [1])):
        with pytest.raises(InputError, match="two classes or more with two images each"):
            separation(stack, features, labels)
    with pytest.raises(InputError, match="Expected a class number"):
        separation(stack, features, np.zeros(8, int))
