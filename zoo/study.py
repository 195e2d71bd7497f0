"""The study of iterative estimation: measurements of the trained presets, and what they say of each claim.

    python -m zoo.study REPORT [REPORT ...]

REPORT are folders that `keras-unrolled analyze` wrote for presets. Copies their tables to
zoo/results/analysis/PRESET and rewrites the tables in docs/iterative_estimation.md and docs/lesions.png from
all that are there.
"""

import argparse
import csv
import json
import shlex
import shutil
import sys
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.analysis import Table, figures
from keras_unrolled.files import read_json, write_text
from keras_unrolled.presets.catalog import list_presets
from zoo.build import RESULTS, ROOT, fill
from zoo.iteration_claims import CLAIMS, Tables

STUDY, PAGE = RESULTS / "analysis", ROOT / "docs/iterative_estimation.md"
SHOWN, FIGURE = "resnet_bn_cifar10", ROOT / "docs/lesions.png"  # of README
KEPT = ("preset", "dataset", "split", "n", "notes", "settings")  # of report.json


def read_tables(folder: Path) -> Tables:
    """The tables of a network: a dict from a measurement to its rows, with numbers as numbers."""
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.stem] = [
                {k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)
            ]
    return tables


def _number(text):
    if text in ("True", "False", ""):
        return {"True": True, "False": False, "": None}[text]
    try:
        return float(text)
    except ValueError:
        return text


def make_claims_table() -> str:
    """What each claim says, and where it comes from."""
    lines = ["| claim | in full | source and its evidence |", "|---|---|---|"]
    lines += [f"| {c.name} | {c.text} | {c.source} |" for c in CLAIMS]
    return "\n".join(lines)


def make_results_table(networks: dict[str, Tables], sizes: dict[str, int]) -> str:
    """The measurement of every claim in every network, with whether it holds there."""
    lines = ["| network | images | " + " | ".join(c.name for c in CLAIMS) + " |"]
    lines.append("|---|---:|" + "---|" * len(CLAIMS))
    for name, tables in networks.items():
        cells = []
        for claim in CLAIMS:
            found = claim.measure(tables)
            cells.append("" if found is None else f"**{found[1]}**: {found[0]}")
        lines.append(f"| `{name}` | {sizes[name]:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def make_language_table(networks: dict[str, Tables], sizes: dict[str, int]) -> str:
    """The gates of the layers between the convolutions and the LSTM of the language models."""
    lines = ["| network | words | layer | gate | mean | spread | between words | shut | open |"]
    lines.append("|---|---:|---|---|---|---:|---:|---:|---:|")
    for name, tables in networks.items():
        for row in tables["gate_stats"]:
            gate = {"transform": "T", "carry": "C"}[row["gate"]]
            mean = f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
            spread = f"{row['std']:.3f} | {row['between_images']:.3f}"
            ends = f"{row['shut']:.1%} | {row['open']:.1%}"
            lines.append(
                f"| `{name}` | {sizes[name]:,} | {row['block']} | {gate}, {row['kind']} | {mean} | {spread} "
                f"| {ends} |"
            )
    return "\n".join(lines)


def adopt(report: Path) -> str:
    """Copies the tables of a report; returns the preset's name."""
    summary = read_json(report / "report.json")
    name = Path(summary["preset"]).name
    if name not in {record.name for record in list_presets()}:
        raise checks.InputError(
            f"Expected the report of a preset. Found one of {name!r} in {report}. Analyze a preset by its "
            "name."
        )
    place = STUDY / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in sorted(report.glob("*.csv")):
        if path.stem not in ("gate_stats_position", "gate_stats_channel"):
            write_text(place / path.name, _shorten(path.read_text(encoding="utf-8")))
    kept = {key: summary[key] for key in KEPT}
    kept["settings"].pop("seconds", None)
    kept["settings"]["command"] = _generalize(kept["settings"]["command"], name)
    write_text(place / "report.json", json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return name


def _generalize(command, name):
    """A command with the folders that docs/iterative_estimation.md names."""
    words, places = shlex.split(command), {"--out": f"reports/{name}", "--data-dir": "DIR"}
    return shlex.join([places.get(before, word) for before, word in zip(["", *words], words)])


def _shorten(text):
    """A table with numbers of six digits."""

    def short(value):
        number = _number(value)
        return f"{number:.6g}" if isinstance(number, float) and "." in value else value

    rows = [[short(v) for v in row] for row in csv.reader(text.splitlines())]
    return "".join(",".join(row) + "\n" for row in rows)


def write_page() -> None:
    """Rewrites the tables and the figure from what is in zoo/results/analysis."""
    folders = sorted(path for path in STUDY.iterdir() if path.is_dir())
    networks = {path.name: read_tables(path) for path in folders}
    sizes = {path.name: read_json(path / "report.json")["n"] for path in folders}
    page = PAGE.read_text(encoding="utf-8")
    page = fill(page, "claims", "zoo.study", make_claims_table())
    texts = {record.name for record in list_presets(dataset="ptb")}
    language = {name: networks.pop(name) for name in sorted(texts & networks.keys())}
    page = fill(page, "measurements", "zoo.study", make_results_table(networks, sizes))
    page = fill(page, "language", "zoo.study", make_language_table(language, sizes))
    write_text(PAGE, page)
    lesions = Table(networks[SHOWN]["lesion"])
    figures.plot_lesion(lesions, FIGURE, list_presets(SHOWN)[0].network["gating"])


def main(arguments: list[str] | None = None) -> int:
    """Adopts reports and rewrites the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("reports", nargs="*", type=Path, metavar="REPORT")
    options = parser.parse_args(arguments)
    try:
        for report in options.reports:
            print(f"{adopt(report)}: copied")
        write_page()
    except checks.InputError as error:
        print(f"zoo.study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
