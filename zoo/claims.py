"""The paper's findings next to ours, as tables."""

import csv
import io
import itertools

import numpy as np

from keras_unrolled.evaluation import comparison
from keras_unrolled.presets.catalog import list_presets

SIGNIFICANT = 0.05
LIKE = 0.02  # perplexities within 2% of each other are called about equal
# What a pair of presets is compared by, and how its value and interval are shown.
EFFECTS = {
    "cifar10": ("difference in accuracy", "{difference:+.2%} ({low:+.2%} to {high:+.2%})"),
    "ptb": ("ratio of perplexities", "{ratio:.3f} ({low:.3f} to {high:.3f})"),
}

# (first, second, how the paper ranks the first against the second, its figures). "ahead" means
# better on the test set. Section 5.1 gives top-5 errors on ImageNet; section 5.2 describes Penn
# Treebank in words.
CLAIMS = {
    "cifar10": [
        ("resnet_bn", "highway_bn", "ahead", "7.17 and 7.53% top-5 error"),
        ("resnet_bn", "highway_hrelu_bn", "ahead", "7.17 and 7.29%"),
        ("highway_hrelu_bn", "highway_bn", "ahead", "7.29 and 7.53%"),
        ("resnet_nobn", "highway_nobn", "ahead", "9.40 and 10.03%"),
        ("resnet_bn", "resnet_nobn", "ahead", "7.17 and 9.40%"),
        ("highway_bn", "highway_nobn", "ahead", "7.53 and 10.03%"),
    ],
    "ptb": [
        ("highway", "highway_full", "about equal", "in words"),
        ("highway", "highway_c_only", "about equal", "in words"),
        ("highway", "highway_t_only", "ahead", "in words"),
        ("highway", "resnet", "far ahead", "in words"),
        ("highway_t_only", "resnet", "ahead", "in words"),
        ("resnet", "plain", "about equal", "in words"),
    ],
}


def verdict(claim, row):
    """Whether a pair compares as in the paper."""
    if claim == "about equal":
        if row["low"] > 1 / (1 + LIKE) and row["high"] < 1 + LIKE:
            return "yes"
        return "no" if row["high"] < 1 / (1 + LIKE) or row["low"] > 1 + LIKE else "inconclusive"
    if row["p"] >= SIGNIFICANT:
        return "not significant"
    return "yes" if row["effect"] > 0 else "no, the opposite"


def claims_table(dataset, rows):
    """The paper's findings next to ours, for presets that have been trained."""
    kind, shown = EFFECTS[dataset]
    lines = [
        f"| first | second | the paper: first is | its figures | "
        f"here: {kind} (95%) | p | as in the paper? |",
        "|---|---|---|---|---|---:|---|",
    ]
    ending = "_cifar10" if dataset == "cifar10" else "_small_ptb"
    claims = []
    for first, second, claim, figures in CLAIMS[dataset]:
        row = rows.get((first + ending, second + ending))
        if row is not None:
            claims.append((first, second, claim, figures, row))
    adjusted = comparison.adjust([row["p"] for *_, row in claims])
    for (first, second, claim, figures, row), p in zip(claims, adjusted):
        row = {**row, "p": p}
        lines.append(
            f"| `{first}` | `{second}` | {claim} | {figures} | {shown.format(**row)} | {p:.2g} | "
            f"{verdict(claim, row)} |"
        )
    return "\n".join(lines)


def order_table(dataset, answers, rows):
    """All presets from the best to the worst, each compared with the next better one.

    Args:
        dataset: "cifar10" or "ptb".
        answers: dict from a preset's name to its answers, as `paired.answer` gives them.
        rows: dict from a pair of names to a row of `paired.compare`.
    """
    metric = "accuracy" if dataset == "cifar10" else "perplexity"
    kind, shown = EFFECTS[dataset]
    scores = {
        name: values.mean() if dataset == "cifar10" else np.exp(values.mean())
        for name, values in answers.items()
    }
    names = sorted(scores, key=scores.__getitem__, reverse=dataset == "cifar10")
    records = {record.name: record for record in list_presets()}
    lines = [
        f"| preset | gating | parameters | validation | test {metric} | "
        f"{kind}, compared with the row above (95%) | p |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    steps = [rows[below, above] for above, below in itertools.pairwise(names)]
    adjusted = comparison.adjust([row["p"] for row in steps])
    effects = [f"{shown.format(**row)} | {p:.2g}" for row, p in zip(steps, adjusted)]
    for effect, name in zip([" | ", *effects], names):
        record = records[name]
        held = [m["value"] for m in record.metrics if m["split"] != "test"]
        show = "{:.2%}".format if dataset == "cifar10" else "{:.2f}".format
        lines.append(
            f"| `{name}` | {record.network['gating']} | {record.parameters:,} | "
            f"{show(held[0]) if held else ''} | {show(scores[name])} | {effect} |"
        )
    return "\n".join(lines)


def pairs_csv(results):
    """The text of zoo/results/pairs.csv: every pair once."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "first", "second", "n", "measure", "value", "low", "high", "p"])
    for dataset, (_, rows) in results.items():
        measure = "difference" if dataset == "cifar10" else "ratio"
        for (first, second), row in rows.items():
            if first < second:
                figures = [f"{row[key]:.5g}" for key in (measure, "low", "high", "p")]
                writer.writerow([dataset, first, second, row["n"], measure, *figures])
    return text.getvalue()
