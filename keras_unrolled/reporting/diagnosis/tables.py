"""The tables of a report on a classifier."""

from typing import Any

import numpy as np

from keras_unrolled.analysis.table import Table
from keras_unrolled.evaluation.comparison import compare_answers, wilson_interval


def tabulate_classes(labels: np.ndarray, answers: np.ndarray, names: Any) -> Table:
    """The accuracy of each class.

    Args:
        labels: int array `(n,)`.
        answers: int array `(n,)`.
        names: list of the classes' names.

    Returns:
        A `Table` with "class", "n", "accuracy", "low" and "high" (its 95% interval, Wilson 1927),
        "answered", how often it is the answer, "precision", the share of these that are right, and
        "mistaken_for", the most frequent wrong answer, "mistaken", how often. What has no images is None.
    """
    counts = count_answers(labels, answers, len(names))
    rows = []
    for i, name in enumerate(names):
        n, right, answered = int(counts[i].sum()), int(counts[i, i]), int(counts[:, i].sum())
        others = counts[i].copy()
        others[i] = 0
        wrong = int(others.max())
        low, high = bound(right / n, n) if n else (None, None)
        rows.append(
            {
                "class": name,
                "n": n,
                "accuracy": right / n if n else None,
                "low": low,
                "high": high,
                "answered": answered,
                "precision": right / answered if answered else None,
                "mistaken_for": names[others.argmax()] if wrong else None,
                "mistaken": wrong,
            }
        )
    return Table(rows)


def count_answers(labels: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """The confusion matrix, int `(classes, classes)`: rows are labels, columns answers."""
    pairs = np.bincount(labels * count + answers, minlength=count * count)
    return pairs.reshape(count, count)


def tabulate_confusion(labels: np.ndarray, answers: np.ndarray, names: Any) -> Table:
    """The entries of the confusion matrix that are not 0: "label", "answer" and "n"."""
    counts = count_answers(labels, answers, len(names))
    rows = [
        {"label": names[i], "answer": names[j], "n": int(counts[i, j])}
        for i, j in zip(*np.nonzero(counts))
    ]
    return Table(rows)


def bound(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share of n, within 0 and 1."""
    low, high = wilson_interval(share, n)
    return max(0.0, low), min(1.0, high)


def tabulate_mirror(labels: np.ndarray, log_p: np.ndarray, mirrored: np.ndarray) -> Table:
    """Accuracy with the probabilities averaged over an image and its mirror image.

    Args:
        labels: int array `(n,)`.
        log_p: float array `(n, classes)`, of the images.
        mirrored: float array `(n, classes)`, of the mirror images.

    Returns:
        A `Table` of one row: "n", "accuracy", "averaged" (the accuracy with averages), "difference", "low"
        and "high" (its 95% interval), "only_averaged" and "only_plain" (images that only one has right),
        and "p", of McNemar's exact test.
    """
    both = np.exp(log_p) + np.exp(mirrored)
    plain, averaged = log_p.argmax(-1) == labels, both.argmax(-1) == labels
    row = compare_answers(averaged, plain)
    return Table(
        [
            {
                "n": row["n"],
                "accuracy": float(plain.mean()),
                "averaged": float(averaged.mean()),
                **{key: row[key] for key in ("difference", "low", "high")},
                "only_averaged": row["only_first"],
                "only_plain": row["only_second"],
                "p": row["p"],
            }
        ]
    )


def tabulate_images(
    labels: np.ndarray, log_p: np.ndarray, names: Any, pictures: list[str]
) -> Table:
    """Label, answer and loss of every image.

    Args:
        labels: int array `(n,)`.
        log_p: float array `(n, classes)`.
        names: list of the classes' names.
        pictures: list of n strings, what to call the images.

    Returns:
        A `Table` with "image", "label", "answer", "probability" of the answer, "label_probability" and
        "loss", the negative logarithm of the latter in nats.
    """
    answers, rows = log_p.argmax(-1), np.arange(len(labels))
    columns = zip(pictures, labels, answers, log_p[rows, answers], log_p[rows, labels])
    return Table(
        [
            {
                "image": picture,
                "label": names[label],
                "answer": names[answer],
                "probability": float(np.exp(best)),
                "label_probability": float(np.exp(own)),
                "loss": float(-own),
            }
            for picture, label, answer, best, own in columns
        ]
    )


def tabulate_suspects(suspects: list[dict[str, Any]], names: Any, pictures: list[str]) -> Table:
    """What `find_suspects` found, with names in place of numbers."""
    columns = (
        "image",
        "label",
        "suggested",
        "label_probability",
        "suggested_probability",
        "margin",
    )
    rows = [
        {
            "image": pictures[row["number"]],
            "label": names[row["label"]],
            "suggested": names[row["suggested"]],
            **{key: row[key] for key in columns[3:]},
        }
        for row in suspects
    ]
    return Table(rows, columns)


def tabulate_pairs(
    pairs: list[dict[str, Any]], labels: np.ndarray, names: Any, pictures: list[str]
) -> Table:
    """What `find_duplicates` found, with names of the pictures and their labels."""
    columns = ("first", "second", "first_label", "second_label", "identical")
    columns += ("likeness", "bits", "cosine")
    rows = [
        {
            "first": pictures[row["first"]],
            "second": pictures[row["second"]],
            "first_label": names[labels[row["first"]]],
            "second_label": names[labels[row["second"]]],
            **{key: row[key] for key in columns[4:]},
        }
        for row in pairs
    ]
    return Table(rows, columns)


def tabulate_sizes(unusual: list[dict[str, Any]], pictures: list[str]) -> Table:
    """What `find_unusual_sizes` found, with names of the pictures."""
    columns = ("image", "height", "width", "why")
    rows = [{"image": pictures[r["number"]], **{k: r[k] for k in columns[1:]}} for r in unusual]
    return Table(rows, columns)


def show_percent(share: Any, digits: int = 2) -> str | None:
    """A share as a percentage, or None for none."""
    return None if share is None else f"{100 * share:.{digits}f}%"
