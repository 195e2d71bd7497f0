"""Compares the trained presets on their test sets, example by example, beside what the paper found.

    python -m zoo.compare --tfds DIR --ptb DIR [--runs WORKDIR ...]

DIR are TFDS's data directory and the folder of Penn Treebank's test.txt. Rewrites
zoo/results/pairs.csv, every pair of a data set, the tables in docs/results.md, and docs/curves.png
from the logs in zoo/results/logs. WORKDIR are those of further runs of a preset's network, with
another seed or a changed recipe: each is compared with the preset and has its row in
zoo/results/runs.csv, whose other rows stay as they are; its record and log go to zoo/results/runs.
"""

import argparse
import csv
import io
import itertools
import sys
from pathlib import Path

import numpy as np

from keras_unrolled import checks, data, evaluation
from keras_unrolled.analysis import plots
from keras_unrolled.evaluation import comparison
from keras_unrolled.models.character_tokenizer import END
from keras_unrolled.presets.catalog import list_presets
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.resolve import load_record
from zoo.build import RESULTS, ROOT, write

PAGE, CURVES = ROOT / "docs/results.md", ROOT / "docs/curves.png"
RUNS = RESULTS / "runs.csv"
RUN_COLUMNS = ["dataset", "preset", "changed", "n", "score", "preset_score", "measure"]
RUN_COLUMNS += ["value", "low", "high", "p", "commit"]
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


def find_runs(workdirs, names):
    """The finished runs in some folders: a dict from the folder of the weights to its record.

    Raises:
        InputError: for a folder without a finished run, or a run of none of the presets.
    """
    runs = {}
    for workdir in map(Path, workdirs):
        if not (workdir / "preset/record.json").exists():
            raise checks.InputError(
                f"Expected the folder of a finished run. Received: {workdir}, without "
                "preset/record.json. Give the --workdir of the training program, once it has ended."
            )
        record = load_record(workdir / "preset")
        if record.name not in names:
            raise checks.InputError(
                f"Expected a run of a preset that has weights ({', '.join(names)}). Received: "
                f"{workdir}, a run of {record.name}. Train that preset first."
            )
        runs[str(workdir / "preset")] = record
    return runs


def changed(recipe, other):
    """What is other in a run's recipe than in the preset's, as --set takes it."""
    run, preset = (
        {**each, **{f"network.{key}": value for key, value in each["network"].items()}}
        for each in (recipe, other)
    )
    return " ".join(
        f"{key}={run.get(key)}"
        for key in sorted((run.keys() | preset.keys()) - {"text", "network"})
        if run.get(key) != preset.get(key)
    )


def run_row(dataset, record, preset, pair, ends):
    """A row of zoo/results/runs.csv: a run beside the preset of its network.

    Args:
        dataset: "cifar10" or "ptb".
        record: the run's `Record`.
        preset: the preset's `Record`.
        pair: what each has right, or each word's loss, the run's first.
        ends: None, or which words end a sentence.
    """
    row = compare(dict(enumerate(pair)), ends)[0, 1]
    measure = "difference" if ends is None else "ratio"
    scores = [values.mean() if ends is None else np.exp(values.mean()) for values in pair]
    figures = [f"{row[key]:.5g}" for key in (measure, "low", "high", "p")]
    cells = [dataset, record.name, changed(record.training["recipe"], preset.training["recipe"])]
    cells += [row["n"], *(f"{score:.6g}" for score in scores), measure, *figures]
    return dict(zip(RUN_COLUMNS, map(str, [*cells, record.training["commit"]])))


def merge(rows, new):
    """Rows by preset and change, of which the new ones replace the old."""
    merged = {(row["dataset"], row["preset"], row["changed"]): row for row in [*rows, *new]}
    return [merged[key] for key in sorted(merged)]


def keep(workdir, row):
    """Copies a run's record and log to zoo/results/runs, named after the preset and the change."""
    name = "-".join([row["preset"], *row["changed"].split()])
    write(RESULTS / f"runs/{name}.json", (workdir / "preset/record.json").read_text())
    write(RESULTS / f"runs/{name}.csv", (workdir / "log.csv").read_text())


def runs_table(dataset, rows):
    """The further runs, each beside the preset of its network."""
    kind, shown = EFFECTS[dataset]
    show = "{:.2%}" if dataset == "cifar10" else "{:.2f}"
    lines = [
        f"| preset | changed | of this run | of the preset | {kind} (95 %) | p |",
        "|---|---|---:|---:|---|---:|",
    ]
    for row in rows:
        if row["dataset"] == dataset:
            figures = {key: float(row[key]) for key in ("low", "high")}
            figures[row["measure"]] = float(row["value"])
            scores = [show.format(float(row[key])) for key in ("score", "preset_score")]
            lines.append(
                f"| `{row['preset']}` | `{row['changed'] or 'nothing'}` | {' | '.join(scores)} | "
                f"{shown.format(**figures)} | {float(row['p']):.2g} |"
            )
    return "\n".join(lines)


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


def main(arguments=None):
    """Compares all and writes the results; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.compare",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--tfds", required=True)
    parser.add_argument("--ptb", required=True)
    parser.add_argument("--runs", nargs="+", default=[], metavar="WORKDIR")
    options = parser.parse_args(arguments)
    presets = {
        record.name: record
        for dataset in CLAIMS
        for record in list_presets(dataset=dataset)
        if record.has_weights
    }
    try:
        runs = find_runs(options.runs, presets)
    except checks.InputError as error:
        print(f"zoo.compare: {error}", file=sys.stderr)
        return 2
    results, page = {}, PAGE.read_text()
    kept = list(csv.DictReader(RUNS.read_text().splitlines())) if RUNS.exists() else []
    for dataset in CLAIMS:
        names = [name for name in presets if name.endswith("_" + dataset)]
        beside = {path: run for path, run in runs.items() if run.name in names}
        told, ends = answers(dataset, [*names, *beside], options.tfds, options.ptb)
        found = {name: told[name] for name in names}
        rows = compare(found, ends)
        results[dataset] = found, rows
        for path, run in beside.items():
            row = run_row(dataset, run, presets[run.name], (told[path], told[run.name]), ends)
            kept = merge(kept, [row])
            keep(Path(path).parent, row)
        page = fill(page, f"{dataset} order", order_table(dataset, found, rows))
        page = fill(page, f"{dataset} claims", claims_table(dataset, rows))
        if any(row["dataset"] == dataset for row in kept):
            page = fill(page, f"{dataset} runs", runs_table(dataset, kept))
    write(RESULTS / "pairs.csv", pairs_csv(results))
    text = io.StringIO()
    writer = csv.DictWriter(text, RUN_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    write(RUNS, text.getvalue())
    write(PAGE, page)
    draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())
