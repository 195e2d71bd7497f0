"""Further runs of a preset's network, with another seed or a changed recipe."""

import csv
import io
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.engine import read_recipe
from keras_unrolled.files import write_text
from keras_unrolled.presets.resolve import load_record
from zoo.build import RESULTS
from zoo.claims import EFFECTS
from zoo.paired import compare

RUNS = RESULTS / "runs.csv"
COLUMNS = ["dataset", "preset", "changed", "n", "score", "preset_score", "measure"]
COLUMNS += ["value", "low", "high", "p", "commit"]


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
                "preset/record.json. Pass the --workdir of a training program that has finished."
            )
        record = load_record(workdir / "preset")
        if record.name not in names:
            raise checks.InputError(
                f"Expected a run of a preset that has weights ({', '.join(names)}). Received: "
                f"{workdir}, a run of {record.name}. Train that preset first."
            )
        runs[str(workdir / "preset")] = record
    return runs


def describe_changes(recipe, other):
    """What a run's recipe changes compared with the preset's, as --set takes it.

    Args:
        recipe: dict, the recipe in the run's record.
        other: dict, the recipe in the preset's record.
    """
    run, preset = (
        {**each, **{f"network.{key}": value for key, value in each["network"].items()}}
        for each in (read_recipe(recipe).to_dict(), read_recipe(other).to_dict())
    )
    return " ".join(
        f"{key}={run.get(key)}"
        for key in sorted((run.keys() | preset.keys()) - {"network"})
        if run.get(key) != preset.get(key)
    )


def make_row(dataset, record, preset, pair, ends):
    """A row of zoo/results/runs.csv: a run compared with the preset of its network.

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
    changes = describe_changes(record.training["recipe"], preset.training["recipe"])
    cells = [dataset, record.name, changes]
    cells += [row["n"], *(f"{score:.6g}" for score in scores), measure, *figures]
    return dict(zip(COLUMNS, map(str, [*cells, record.training["commit"]])))


def read_rows():
    """The rows of zoo/results/runs.csv."""
    return list(csv.DictReader(RUNS.read_text().splitlines())) if RUNS.exists() else []


def write_rows(rows):
    """Writes zoo/results/runs.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(RUNS, text.getvalue())


def merge(rows, new):
    """Rows by preset and change; the new ones replace the old."""
    merged = {(row["dataset"], row["preset"], row["changed"]): row for row in [*rows, *new]}
    return [merged[key] for key in sorted(merged)]


def keep(workdir, row):
    """Copies a run's record and log to zoo/results/runs, named after the preset and the change."""
    name = "-".join([row["preset"], *row["changed"].split()])
    write_text(RESULTS / f"runs/{name}.json", (workdir / "preset/record.json").read_text())
    write_text(RESULTS / f"runs/{name}.csv", (workdir / "log.csv").read_text())


def runs_table(dataset, rows):
    """The further runs, each compared with the preset of its network."""
    kind, shown = EFFECTS[dataset]
    show = "{:.2%}" if dataset == "cifar10" else "{:.2f}"
    lines = [
        f"| preset | changed | of this run | of the preset | {kind} (95%) | p |",
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
