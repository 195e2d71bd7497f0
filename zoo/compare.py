"""Compares the trained presets on their test sets, example by example, beside what the paper found.

    python -m zoo.compare --tfds DIR --ptb DIR

DIR are TFDS's data directory and the folder of Penn Treebank's test.txt. Rewrites
zoo/results/pairs.csv, every pair of a data set, the tables in docs/results.md, and docs/curves.png
from the logs in zoo/results/logs.
"""

import argparse
import csv
import io
import itertools
import sys

import numpy as np

from keras_unrolled import comparison, data, evaluation
from keras_unrolled.analysis import plots
from keras_unrolled.models.character_lm import END
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.registry import list_presets
from zoo.build import RESULTS, ROOT, write

PAGE, CURVES = ROOT / "docs/results.md", ROOT / "docs/curves.png"
# The column of the logs that tells most, by data set; images are all trained on, none held out.
SHOWN = {
    "cifar10": ("CIFAR-10: loss in training", "loss"),
    "ptb": ("Penn Treebank: validation perplexity", "valid_perplexity"),
}
SURE = 0.05
LIKE = 0.02  # perplexities within 2 % of each other are called about equal
# What a pair of presets is compared by, and how its value and interval are shown.
EFFECTS = {
    "cifar10": ("difference in accuracy", "{difference:+.2%} ({low:+.2%} to {high:+.2%})"),
    "ptb": ("ratio of perplexities", "{ratio:.3f} ({low:.3f} to {high:.3f})"),
}

# (first, second, what the paper says of the first beside the second, its figures). "ahead" means
# better on the test set. Section 5.1 gives top-5 errors on ImageNet, section 5.2 tells of Penn
# Treebank in words.
CLAIMS = {
    "cifar10": [
        ("resnet_bn", "highway_bn", "ahead", "7.17 and 7.53 % top-5 error"),
        ("resnet_bn", "highway_hrelu_bn", "ahead", "7.17 and 7.29 %"),
        ("highway_hrelu_bn", "highway_bn", "ahead", "7.29 and 7.53 %"),
        ("resnet_nobn", "highway_nobn", "ahead", "9.40 and 10.03 %"),
        ("resnet_bn", "resnet_nobn", "ahead", "7.17 and 9.40 %"),
        ("highway_bn", "highway_nobn", "ahead", "7.53 and 10.03 %"),
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


def answers(dataset, names, tfds, ptb):
    """What each preset has right, or each word's loss, by name; and where sentences end."""
    if dataset == "cifar10":
        test = data.load_cifar10(tfds, "test")
        found = {}
        for name in names:
            scores = evaluation.predict(from_preset(name), test.images, progress=name)
            found[name] = np.argmax(scores, -1) == test.labels
        return found, None
    words = data.read_words(ptb, "test")
    found = {
        name: evaluation.text_losses(from_preset(name), words, progress=name) for name in names
    }
    return found, np.array(words) == END


def compare(found, ends):
    """A dict from a pair of names to what tells them apart, "effect" above 0 where the first is better."""
    rows = {}
    for first, second in itertools.permutations(found, 2):
        if ends is None:
            row = comparison.compare_answers(found[first], found[second])
            row["effect"] = row["difference"]
        else:
            row = comparison.compare_losses(found[first], found[second], ends)
            row["effect"] = -np.log(row["ratio"])
        rows[first, second] = row
    return rows


def verdict(claim, row):
    """Whether a pair is as the paper has it."""
    if claim == "about equal":
        if row["low"] > 1 / (1 + LIKE) and row["high"] < 1 + LIKE:
            return "yes"
        return "no" if row["high"] < 1 / (1 + LIKE) or row["low"] > 1 + LIKE else "not told"
    if row["p"] >= SURE:
        return "not told apart"
    return "yes" if row["effect"] > 0 else "no, the other way round"


def claims_table(dataset, rows):
    """The paper's findings beside ours, those whose presets have been trained."""
    kind, shown = EFFECTS[dataset]
    lines = [
        f"| first | second | the paper: first is | its figures | here: {kind} (95 %) | p | as the paper? |",
        "|---|---|---|---|---|---:|---|",
    ]
    ending = "_cifar10" if dataset == "cifar10" else "_small_ptb"
    told = []
    for first, second, claim, figures in CLAIMS[dataset]:
        row = rows.get((first + ending, second + ending))
        if row is not None:
            told.append((first, second, claim, figures, row))
    adjusted = comparison.adjust([row["p"] for *_, row in told])
    for (first, second, claim, figures, row), p in zip(told, adjusted):
        row = {**row, "p": p}
        lines.append(
            f"| `{first}` | `{second}` | {claim} | {figures} | {shown.format(**row)} | {p:.2g} | "
            f"{verdict(claim, row)} |"
        )
    return "\n".join(lines)


def order_table(dataset, found, rows):
    """All presets from the best to the worst, each beside the next better one."""
    metric = "accuracy" if dataset == "cifar10" else "perplexity"
    kind, shown = EFFECTS[dataset]
    scores = {
        name: values.mean() if dataset == "cifar10" else np.exp(values.mean())
        for name, values in found.items()
    }
    names = sorted(scores, key=scores.__getitem__, reverse=dataset == "cifar10")
    records = {record.name: record for record in list_presets()}
    lines = [
        f"| preset | gating | parameters | validation | test {metric} | {kind}, beside the row above (95 %) | p |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    steps = [rows[below, above] for above, below in itertools.pairwise(names)]
    chances = comparison.adjust([row["p"] for row in steps])
    beside = [f"{shown.format(**row)} | {p:.2g}" for row, p in zip(steps, chances)]
    for last, name in zip([" | ", *beside], names):
        record = records[name]
        held = [m["value"] for m in record.metrics if m["split"] != "test"]
        show = "{:.2%}".format if dataset == "cifar10" else "{:.2f}".format
        lines.append(
            f"| `{name}` | {record.network['gating']} | {record.parameters:,} | "
            f"{show(held[0]) if held else ''} | {show(scores[name])} | {last} |"
        )
    return "\n".join(lines)


def pairs_csv(results):
    """Every pair once."""
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


def fill(page, name, text):
    """The page with what stands between a name's two marks replaced."""
    begin, end = f"<!-- {name}: python -m zoo.compare -->", f"<!-- /{name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def draw():
    """docs/curves.png: a panel a data set, a line a preset."""
    panels = {}
    for dataset, (title, column) in SHOWN.items():
        logs = sorted((RESULTS / "logs").glob(f"*_{dataset}.csv"))
        if logs:
            panels[title] = column, {path.stem.removesuffix(f"_{dataset}"): path for path in logs}
    plots.plot_logs(panels, CURVES)


def main():
    """Compares all and writes the results; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.compare",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--tfds", required=True)
    parser.add_argument("--ptb", required=True)
    options = parser.parse_args()
    results, page = {}, PAGE.read_text()
    for dataset in CLAIMS:
        names = [record.name for record in list_presets(dataset=dataset) if record.has_weights]
        found, ends = answers(dataset, names, options.tfds, options.ptb)
        rows = compare(found, ends)
        results[dataset] = found, rows
        page = fill(page, f"{dataset} order", order_table(dataset, found, rows))
        page = fill(page, f"{dataset} claims", claims_table(dataset, rows))
    write(RESULTS / "pairs.csv", pairs_csv(results))
    write(PAGE, page)
    draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())
