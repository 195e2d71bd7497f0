"""Comparisons on the same examples, against values from elsewhere and against simulation."""

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.evaluation import comparison


def pairs(both, ahead, behind, neither):
    first = np.repeat([1, 1, 0, 0], [both, ahead, behind, neither]).astype(bool)
    second = np.repeat([1, 0, 1, 0], [both, ahead, behind, neither]).astype(bool)
    return first, second


def test_mcnemar_is_that_of_a_published_table():
    # Agresti, Categorical Data Analysis, matched pairs: approval by 1,600 people at two times.
    found = comparison.compare_answers(*pairs(794, 150, 86, 570))
    assert (found["n"], found["only_first"], found["only_second"]) == (1600, 150, 86)
    assert found["difference"] == pytest.approx(0.04)
    assert (found["low"], found["high"]) == pytest.approx((0.021, 0.059), abs=5e-4)
    assert found["p"] == pytest.approx(3.716e-5, rel=1e-3)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, table II, method 10
        # No correlation: statsmodels' confint_proportions_2indep(25, 50, 10, 50, "newcomb")
        ((5, 20, 5, 20), 0.11336, 0.45970),
        ((20, 0, 0, 0), -0.1611, 0.1611),
        ((0, 0, 0, 20), -0.1611, 0.1611),
    ],
)
def test_interval_of_a_difference_is_newcombes(counts, low, high):
    found = comparison.compare_answers(*pairs(*counts))
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-4)


def test_interval_of_a_difference_stays_within_its_bounds():
    for counts in ((0, 5, 0, 0), (0, 0, 5, 0), (1, 0, 0, 0), (0, 3, 3, 0), (3, 0, 0, 3)):
        found = comparison.compare_answers(*pairs(*counts))
        assert -1 <= found["low"] <= found["difference"] <= found["high"] <= 1
        assert found["low"] < found["high"]


@pytest.mark.parametrize(("ahead", "behind", "p"), [(0, 0, 1.0), (3, 0, 0.25), (1, 4, 0.375)])
def test_mcnemar_counts_coins(ahead, behind, p):
    assert comparison.compare_answers(*pairs(5, ahead, behind, 2))["p"] == pytest.approx(p)


def test_interval_of_a_ratio_covers_the_truth_as_often_as_it_says():
    # Sentences of unequal length whose words share a part of their loss: 0.05 apart in truth.
    rng, covered, runs = np.random.default_rng(1), 0, 200
    for run in range(runs):
        lengths = rng.integers(1, 20, 300)
        ends = np.zeros(lengths.sum(), bool)
        ends[np.cumsum(lengths) - 1] = True
        shared = np.repeat(rng.normal(scale=0.3, size=300), lengths)
        second = rng.gamma(2.0, 2.0, len(ends))
        first = second + 0.05 + shared + rng.normal(scale=0.2, size=len(ends))
        found = comparison.compare_losses(first, second, ends, draws=500, seed=run)
        covered += found["low"] < np.exp(0.05) < found["high"]
        assert found["sentences"] == 300
        assert found["ratio"] == pytest.approx(np.exp(first.mean() - second.mean()))
    assert 0.90 <= covered / runs <= 0.985


def test_two_equal_models_are_not_reported_apart():
    losses, ends = np.arange(20.0), np.arange(20) % 3 == 2
    found = comparison.compare_losses(losses, losses, ends)
    assert (found["ratio"], found["low"], found["high"], found["p"]) == (1, 1, 1, 1)


def test_unequal_rows_are_rejected():
    with pytest.raises(InputError, match="same examples"):
        comparison.compare_answers([True], [True, False])
    with pytest.raises(InputError, match="same examples"):
        comparison.compare_losses([], [], [])


@pytest.mark.parametrize("right", [[3, 1, 0], [0.2, 0.9, 1.0], ["a", "b", "c"], [1, np.nan, 0]])
def test_classes_and_probabilities_are_no_right_answers(right):
    with pytest.raises(InputError, match="an array of true and false"):
        comparison.compare_answers(right, [True, False, True])
    zeros_and_ones = comparison.compare_answers([1, 0, 1], [0.0, 0.0, 1.0])
    assert zeros_and_ones == comparison.compare_answers([True, False, True], [False, False, True])


def test_few_sentences_and_losses_that_are_not_finite_are_rejected():
    losses, ends = np.arange(12.0), np.arange(12) % 3 == 2
    with pytest.raises(InputError, match="Received 4 sentences"):
        comparison.compare_losses(losses, losses + 1, ends)
    many = np.arange(12) % 2 == 1
    assert comparison.compare_losses(losses, losses + 1, many)["p"] <= 2 / 2**6
    with pytest.raises(InputError, match="1 losses that are not finite"):
        comparison.compare_losses(np.where(losses == 3, np.inf, losses), losses, many)


def test_holms_correction_is_that_of_the_worked_example():
    # 4, 3, 2 and 1 times the sorted values, never falling: by hand.
    assert comparison.adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.adjust([0.6, 0.7]) == [1, 1]
    assert comparison.adjust([]) == []
