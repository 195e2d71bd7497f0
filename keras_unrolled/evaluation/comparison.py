"""Tests of whether two networks differ by more than chance on the same examples."""

import math

import numpy as np

from keras_unrolled import checks


def compare_answers(first, second):
    """Two classifiers on the same images: the difference in accuracy, and McNemar's exact test.

    Args:
        first: bool array `(n,)`, where the first one is right.
        second: bool array `(n,)`, where the second one is right.

    Returns:
        A dict: "n", "only_first" and "only_second" (images that only one has right), "difference" in
        accuracy, first less second, "low" and "high", its 95 % interval for pairs (Wald), and "p", of McNemar's exact two-sided test.

    Raises:
        InputError: for arrays of unequal length, or empty ones.
    """
    first, second = _same(np.asarray(first, bool), np.asarray(second, bool))
    n, ahead, behind = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    apart, difference = ahead + behind, (ahead - behind) / len(first)
    half = 1.96 * math.sqrt(apart - n * difference**2) / n
    # The rarer side's count under a fair coin, and as far on the other side.
    tail = sum(math.comb(apart, i) for i in range(min(ahead, behind) + 1))
    return {
        "n": n,
        "only_first": ahead,
        "only_second": behind,
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "p": min(1.0, 2 * tail / 2**apart),
    }


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
        A dict: "n", "sentences", "ratio" (first perplexity by second), "low" and "high", its 95 %
        interval, and "p", two-sided, not below `1 / draws`.

    Raises:
        InputError: for arrays of unequal length, or empty ones.
    """
    first, second = _same(np.asarray(first, float), np.asarray(second, float))
    ends, _ = _same(np.asarray(ends, bool), first)
    starts = np.flatnonzero(np.concatenate([[True], ends[:-1]]))
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


def _same(first, second):
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise checks.InputError(
            "Expected two rows of the same examples. Received shapes "
            f"{first.shape} and {second.shape}. Score both on the same data."
        )
    return first, second
