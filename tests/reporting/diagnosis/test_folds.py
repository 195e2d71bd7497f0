"""Out-of-fold probabilities of a linear classifier, against their definition."""

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.reporting.diagnosis.folds import assign_folds, fit_linear, score_out_of_fold
from tests.conftest import first_fast


def make_data(rng, n=120, d=6, classes=3):
    centers, labels = rng.normal(size=(classes, d)), rng.integers(0, classes, n)
    return centers[labels] + rng.normal(size=(n, d)), labels


def loss(weights, x, labels, penalty):
    """The penalized loss of `fit_linear`, in loops over the images."""
    total = penalty / 2 * (weights[:-1] ** 2).sum()
    for row, label in zip(x, labels):
        scores = row @ weights[:-1] + weights[-1]
        total -= scores[label] - np.log(np.exp(scores).sum())
    return total


def test_folds_divide_each_class_evenly(rng):
    labels = rng.permutation(np.repeat([0, 2, 3], [23, 10, 7]))
    folds = assign_folds(labels, 5, seed=1)
    assert np.bincount(folds).tolist() == [8] * 5
    for label in (0, 2, 3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert folds.tolist() == assign_folds(labels, 5, seed=1).tolist()
    assert folds.tolist() != assign_folds(labels, 5, seed=2).tolist()


@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_fit_has_the_least_penalized_loss(rng, penalty):
    x, labels = make_data(rng)
    weights = fit_linear(x, labels, 3, penalty)
    best = loss(weights, x, labels, penalty)
    for _ in range(30):
        moved = weights + 0.02 * rng.normal(size=weights.shape)
        assert loss(moved, x, labels, penalty) > best
    slopes = [
        (loss(weights + step, x, labels, penalty) - loss(weights - step, x, labels, penalty)) / 2e-5
        for step in 1e-5 * np.eye(weights.size).reshape(-1, *weights.shape)
    ]
    assert np.abs(slopes).max() < 120 * 2e-5


def test_fit_agrees_with_scikit_learn(rng):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels = make_data(rng, 200)
    weights = fit_linear(x, labels, 3, 2.0)
    model = linear_model.LogisticRegression(C=1 / 2.0, tol=1e-8, max_iter=10_000).fit(x, labels)
    scores = x @ weights[:-1] + weights[-1]
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert p == pytest.approx(model.predict_proba(x), abs=2e-3)


@pytest.mark.parametrize("columns", first_fast(6, 300))
def test_an_image_has_no_part_in_its_own_probabilities(rng, columns):
    x, labels = make_data(rng, d=columns)
    p = score_out_of_fold(x, labels, 5)
    assert p.sum(-1) == pytest.approx(np.ones(120))
    assert not p[:, 3:].any()  # classes without images
    fold = assign_folds(labels) == assign_folds(labels)[7]
    rest = ~fold
    mean, scale = x[rest].mean(0), x[rest].std(0)
    weights = fit_linear((x[rest] - mean) / scale, labels[rest], 3, 10.0)
    scores = (x[fold] - mean) / scale @ weights[:-1] + weights[-1]
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert p[fold, :3] == pytest.approx(expected, abs=2e-3)


def test_constant_features_have_no_effect(rng):
    x, labels = make_data(rng)
    wide = np.hstack([x, np.full((120, 2), 3.0)])
    assert score_out_of_fold(wide, labels, 3) == pytest.approx(
        score_out_of_fold(x, labels, 3), abs=1e-3
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 20, "images of class 0 only"),
        ([0] * 20 + [1] * 4, "4 images of class 1"),
        ([2] * 20 + [1], "1 image of class 1"),
    ],
)
def test_too_few_images_for_folds_are_rejected(labels, message):
    with pytest.raises(InputError, match=message):
        assign_folds(np.array(labels))
