"""Compares the trained presets on their test sets, example by example, next to the paper's findings.

    python -m zoo.compare --tfds DIR --ptb DIR [--runs WORKDIR ...]

DIR are TFDS's data directory and the folder of Penn Treebank's test.txt. Rewrites
zoo/results/pairs.csv, every pair of a data set, the tables in docs/results.md, and docs/curves.png
from the logs in zoo/results/logs. WORKDIR are those of further runs of a preset's network, with
another seed or a changed recipe: each is compared with the preset and gets a row in
zoo/results/runs.csv, whose other rows stay as they are; its record and log go to zoo/results/runs.
"""

import argparse
import re
import sys
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.analysis import plots
from keras_unrolled.files import write_text
from keras_unrolled.presets.catalog import list_presets
from training import recipes
from zoo import further_runs
from zoo.build import RESULTS, ROOT, fill
from zoo.claims import CLAIMS, claims_table, order_table, pairs_csv
from zoo.paired import answer, compare

PAGE, CURVES = ROOT / "docs/results.md", ROOT / "docs/curves.png"
# The most informative column of the logs, by data set; of images none are held out.
SHOWN = {
    "cifar10": ("CIFAR-10{group}: loss in training", "loss"),
    "ptb": ("Penn Treebank{group}: validation perplexity", "valid_perplexity"),
}


def list_trained():
    """The trained presets: a dict from name to `Record`."""
    return {
        record.name: record
        for dataset in CLAIMS
        for record in list_presets(dataset=dataset)
        if record.origin == "trained"
    }


def list_twenty_layers():
    """The trained presets of CIFAR-10 with 20 layers, by the classic recipe: a dict from name to record."""
    trained = list_trained().items()
    return {n: r for n, r in trained if r.dataset == "cifar10" and not find_group(n)}


def find_depth(name):
    """The depth in the name of a preset that has another than its family's usual one, or ""."""
    return re.sub(r"\D", "", name.split("_")[0])


def find_group(name):
    """What a preset is compared with: the recipe unless it is the data set's first, and `find_depth`."""
    module = recipes.list_modules()[name]
    kind = recipes.find_kind(module, name)
    return " ".join(
        filter(None, ["" if kind == next(iter(module.RECIPES)) else kind, find_depth(name)])
    )


def list_group(group, names, presets):
    """The presets of a group, and those that they started from."""
    own = [name for name in names if find_group(name) == group]
    starts = {presets[name].training["recipe"].get("init") for name in own}
    return [name for name in names if name in own or name in starts]


def fill_table(page, name, text):
    """A page with one of this program's tables replaced."""
    return fill(page, name, "zoo.compare", text)


def draw():
    """Draws docs/curves.png: a panel for each data set, a line for each preset."""
    gatings: dict[str, str] = {}
    panels: dict[str, tuple[str, dict[str, Path]]] = {}
    for dataset, (title, column) in SHOWN.items():
        logs = (RESULTS / "logs").glob(f"*_{dataset}.csv")
        for path in sorted(logs, key=lambda path: (find_group(path.stem), path.name)):
            group = find_group(path.stem)
            kind = f", {group} layers" if group.isdigit() else f", {group}"
            name = title.format(group=kind if group else "")
            panels.setdefault(name, (column, {}))[1][path.stem.removesuffix(f"_{dataset}")] = path
        gatings |= {
            record.name.removesuffix(f"_{dataset}"): record.network["gating"]
            for record in list_presets(dataset=dataset)
        }
    plots.plot_logs(panels, CURVES, gatings)


def compare_all(presets, runs, tfds, ptb):
    """Compares everything and writes the results.

    Args:
        presets: dict of `list_trained`.
        runs: dict of `further_runs.find_runs`.
        tfds: TFDS's data directory.
        ptb: folder of Penn Treebank's test.txt.
    """
    results, page, kept = {}, PAGE.read_text(), further_runs.read_rows()
    for dataset in CLAIMS:
        names = [name for name, record in presets.items() if record.dataset == dataset]
        further = {folder: run for folder, run in runs.items() if run.name in names}
        answers, ends = answer(dataset, [*names, *further], tfds, ptb)
        own = {name: answers[name] for name in names}
        rows = compare(own, ends)
        results[dataset] = own, rows
        for folder, run in further.items():
            pair = answers[folder], answers[run.name]
            row = further_runs.make_row(dataset, run, presets[run.name], pair, ends)
            kept = further_runs.merge(kept, [row])
            further_runs.keep(Path(folder).parent, row)
        for group in sorted(set(map(find_group, names))):
            scored = {name: own[name] for name in list_group(group, names, presets)}
            title = " ".join([dataset, *filter(None, [group]), "order"])
            page = fill_table(page, title, order_table(dataset, scored, rows))
        page = fill_table(page, f"{dataset} claims", claims_table(dataset, rows))
        if any(row["dataset"] == dataset for row in kept):
            page = fill_table(page, f"{dataset} runs", further_runs.runs_table(dataset, kept))
    write_text(RESULTS / "pairs.csv", pairs_csv(results))
    further_runs.write_rows(kept)
    write_text(PAGE, page)
    draw()


def main(arguments=None):
    """Compares all presets and writes the results; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.compare",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--tfds", required=True, help="TFDS's data directory.")
    parser.add_argument("--ptb", required=True, help="Folder of Penn Treebank's test.txt.")
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="WORKDIR", help="Folders of further runs."
    )
    options = parser.parse_args(arguments)
    presets = list_trained()
    try:
        runs = further_runs.find_runs(options.runs, presets)
        compare_all(presets, runs, options.tfds, options.ptb)
    except checks.InputError as error:
        print(f"zoo.compare: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
