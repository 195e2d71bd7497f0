"""Tests of whether two networks differ by more than chance on the same examples."""

import math

import numpy as np

from keras_unrolled import checks

FEWEST = 6  # sentences: 2 / 2**6 is below 0.05, 2 / 2**5 is not


def compare_answers(first, second):
    """Two classifiers on the same images: the difference in accuracy, and McNemar's exact test.

    Args:
        first: bool array `(n,)`, where the first one is right.
        second: bool array `(n,)`, where the second one is right.

    Returns:
        A dict: "n", "only_first" and "only_second" (images that only one has right), "difference" in
        accuracy, first less second, "low" and "high", its 95% interval (Newcombe 1998, method 10), and
        "p", of McNemar's exact two-sided test.

    Raises:
        InputError: for arrays of unequal length, empty ones, and others than of true and false.
    """
    first, second = _same(_as_bool(first), _as_bool(second))
    n, ahead, behind = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    apart, difference = ahead + behind, (ahead - behind) / len(first)
    both = int((first & second).sum())
    low, high = paired_interval(both, ahead, behind, n - both - ahead - behind)
    # The rarer side's count under a fair coin, and as far on the other side.
    tail = sum(math.comb(apart, i) for i in range(min(ahead, behind) + 1))
    return {
        "n": n,
        "only_first": ahead,
        "only_second": behind,
        "difference": difference,
        "low": low,
        "high": high,
        "p": min(1.0, 2 * tail / 2**apart),
    }


def paired_interval(both, ahead, behind, neither):
    """Newcombe's 95% interval of the difference of two paired proportions (1998, method 10).

    It joins the Wilson interval of each proportion, with the correlation of the two. Unlike Wald's it
    is not a single point where the two never differ, and stays within -1 and 1.
    """
    n = both + ahead + behind + neither
    first, second = (both + ahead) / n, (both + behind) / n
    product = (both + ahead) * (behind + neither) * (both + behind) * (ahead + neither)
    excess = both * neither - ahead * behind
    if excess > 0:
        excess = max(excess - n / 2, 0)
    phi = excess / math.sqrt(product) if product else 0.0
    (low1, high1), (low2, high2) = (wilson_interval(p, n) for p in (first, second))

    def join(one, other):
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    difference = first - second
    return (
        difference - join(first - low1, high2 - second),
        difference + join(high1 - first, second - low2),
    )


def wilson_interval(p, n, z=1.959964):
    """Wilson's score interval of a proportion."""
    center = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (center - half) / (1 + z**2 / n), (center + half) / (1 + z**2 / n)


def compare_losses(first, second, ends, draws=10_000, seed=0):
    """Two language models on the same text: the ratio of their perplexities, by a paired bootstrap.

    Whole sentences are drawn, since the words of a sentence depend on each other.

    Args:
        first: float array `(n,)`, the first one's loss for each word, in nats.
        second: float array `(n,)`, the second one's.
        ends: bool array `(n,)`, which words end a sentence.
        draws: int, texts drawn.
        seed: int.

    Returns:
        A dict: "n", "sentences", "ratio" (first perplexity by second), "low" and "high", its 95%
        interval, and "p", two-sided, not below `1 / draws`.

    Raises:
        InputError: for arrays of unequal length, losses that are not finite, and fewer than 6
            sentences: however large the difference, so few may all lie on one side by chance.
    """
    first, second = _same(np.asarray(first, float), np.asarray(second, float))
    ends, _ = _same(_as_bool(ends), first)
    starts = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
    if len(starts) < FEWEST or not np.isfinite([first, second]).all():
        raise checks.InputError(
            f"Expected finite losses of {FEWEST} sentences or more. Received {len(starts)} sentences, "
            f"and {int((~np.isfinite([first, second])).sum())} losses that are not finite. Take a "
            "longer text."
        )
    sums = np.add.reduceat(first - second, starts)
    lengths = np.add.reduceat(np.ones(len(first)), starts)
    rng, logs = np.random.default_rng(seed), []
    for at in range(0, draws, 500):
        size = min(500, draws - at)
        counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size)
        logs.append((counts @ sums) / (counts @ lengths))
    logs = np.concatenate(logs)
    low, high = np.quantile(logs, [0.025, 0.975])
    beyond = min((logs <= 0).mean(), (logs >= 0).mean())
    return {
        "n": len(first),
        "sentences": len(sums),
        "ratio": float(np.exp(np.mean(first - second))),
        "low": float(np.exp(low)),
        "high": float(np.exp(high)),
        "p": float(min(1.0, max(2 * beyond, 1 / draws))),
    }


def adjust(values):
    """The p of several comparisons made at once, by Holm's step-down correction (1979).

    Args:
        values: list of n numbers, the p of each on its own.

    Returns:
        A list of n numbers. Where nothing differs, any of them is below 0.05 in at most one case of twenty.
    """
    values = np.asarray(values, float)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def _as_bool(right):
    """An array of true and false, or of 0 and 1; classes are no such answers."""
    right = np.asarray(right)
    if right.dtype != bool and not (right.dtype.kind in "iuf" and np.isin(right, (0, 1)).all()):
        raise checks.InputError(
            "Expected where a network is right, an array of true and false. Received "
            f"{right.dtype}: {right.ravel()[:5]}. Compare its answers with the labels first."
        )
    return right.astype(bool)


def _same(first, second):
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise checks.InputError(
            "Expected two rows of the same examples. Received shapes "
            f"{first.shape} and {second.shape}. Score both on the same data."
        )
    return first, second
