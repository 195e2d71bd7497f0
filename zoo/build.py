"""Writes what follows from the records.

python -m zoo.build             rewrites zoo/records, scores.csv and timm.csv in zoo/results,
                                MODEL_CARDS.md, docs/record.schema.json and the generated tables of
                                README.md and docs
python -m zoo.build --check     exits with code 1 if one of them is out of date
"""

import argparse
import csv
import io
import json
import sys
from pathlib import Path

from keras_unrolled import checks, paths, quiet
from keras_unrolled.files import write_text
from keras_unrolled.presets import card, catalog
from keras_unrolled.presets.catalog import list_presets
from keras_unrolled.presets.record_schema import make_schema
from zoo.hours import make_hours_table

ROOT = Path(__file__).resolve().parent.parent
RECORDS, RESULTS = ROOT / "zoo/records", ROOT / "zoo/results"
SCORE_COLUMNS = ["dataset", "split", "n", "metric", "value", "resolution", "crop_fraction"]


def make_presets_table(records):
    """The README's table, one row for each trained preset."""
    lines = [
        "| preset | gating | parameters | MACs | accuracy or perplexity |",
        "|---|---|---:|---:|---:|",
    ]
    for record in sorted(records, key=lambda record: record.dataset or ""):
        if record.origin == "trained":
            score = record.show(record.find_main_score()) if record.metrics else ""
            lines.append(
                f"| `{record.name}` | {record.network['gating']} | {record.parameters:,} | "
                f"{_shorten(record.macs)} | {score} |"
            )
    return "\n".join(lines)


def make_language_table(records):
    """The table of docs/language.md, one row for each trained language model, best first."""
    lines = ["| preset | validation | test | epochs | hours |", "|---|---:|---:|---:|---:|"]
    trained = [r for r in records if r.dataset == "ptb" and r.origin == "trained"]
    for record in sorted(trained, key=lambda r: r.score("ptb", metric="perplexity")):
        scores = [record.score("ptb", split, "perplexity") for split in ("valid", "test")]
        training = record.training
        lines.append(
            f"| `{record.name}` | {scores[0]:.2f} | {scores[1]:.2f} | "
            f"{training['recipe']['epochs']} | {training['hours']:.2f} |"
        )
    return "\n".join(lines)


def make_calibration_table(records):
    """The table of docs/results.md, one row for each preset with a temperature."""
    lines = [
        "| preset | temperature | calibration error | after | negative log-likelihood | after |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for record in records:
        found = record.calibration
        if "before" in found:
            before, after = found["before"], found["after"]
            cells = [f"{found['temperature']:.3f}"]
            cells += [f"{part['calibration_error']:.2%}" for part in (before, after)]
            cells += [f"{part['negative_log_likelihood']:.4f}" for part in (before, after)]
            lines.append(f"| `{record.name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shorten(count):
    if count is None:
        return ""
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.1f} M"


def make_scores(records):
    """zoo/results/scores.csv: a row for each score that was measured here."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["preset", "parameters", *SCORE_COLUMNS, "origin", "seed", "commit"])
    for record in records:
        for metric in record.metrics:
            metric = {"crop_fraction": record.preprocessing.get("crop_fraction"), **metric}
            training = record.training
            rows.writerow(
                [record.name, record.parameters]
                + [metric.get(column) for column in (*SCORE_COLUMNS, "origin")]
                + [training.get("seed"), training.get("commit")]
            )
    return text.getvalue()


def make_timm_table(records):
    """zoo/results/timm.csv: a row for each classifier and data set under the column names of timm's results.

    Percentages and millions of parameters, as timm has them; then the data set, and whose score it is.
    """
    text = io.StringIO()
    columns = "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation,dataset,split,whose"
    rows = csv.DictWriter(text, columns.split(","), lineterminator="\n")
    rows.writeheader()
    for record in records:
        own = [(row, "ours") for row in record.metrics]
        found: dict[tuple[str, str], dict[str, object]] = {}
        for score, whose in [
            *own,
            *((row, "the source's") for row in record.source.get("metrics", ())),
        ]:
            top = {"accuracy": "top1", "top5_accuracy": "top5"}.get(score["metric"])
            if top is None:
                continue
            place = (score["dataset"], score["split"])
            row = found.setdefault(place, {"dataset": place[0], "split": place[1], "whose": whose})
            crop = score.get("crop_fraction", record.preprocessing.get("crop_fraction"))
            row |= {
                "model": record.name,
                "img_size": score.get("resolution"),
                top: f"{100 * score['value']:.3f}",
                f"{top}_err": f"{100 - 100 * score['value']:.3f}",
                "param_count": f"{record.parameters / 1e6:.2f}",
                "crop_pct": f"{crop:.3f}",
                "interpolation": record.preprocessing.get("interpolation"),
            }
        rows.writerows(found.values())
    return text.getvalue()


def fill(page, name, program, text):
    """A page with the text between a name's two comments replaced.

    Raises:
        InputError: for a page without both of them, in this order and once.
    """
    begin, end = f"<!-- {name}: python -m {program} -->", f"<!-- /{name} -->"
    if not page.count(begin) == page.partition(begin)[2].count(end) == 1:
        raise checks.InputError(
            f"Expected a place for the table {name!r} in the page. Found none, or several. Write the "
            f"lines {begin} and {end} where it belongs."
        )
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def make_records():
    """The text of every file in zoo/records, by path."""
    from zoo import untrained

    texts = {
        RECORDS / f"{name}.json": record.to_json()
        for name, record in untrained.make_records().items()
    }
    for path in (paths.zoo() / "checkpoints").glob("*/record.json"):
        texts[RECORDS / f"{path.parent.name}.json"] = path.read_text()
    return texts


def make_pages():
    """The text of every page and table that follows from the records, by path."""
    records = list_presets()
    cards = "# Model cards\n\nWritten from the records by `python -m zoo.build`.\n"
    for record in records:
        cards += f"\n## {record.name}\n\n{card.describe(record)}"
    tables = {
        ROOT / "README.md": ("presets", make_presets_table(records)),
        ROOT / "docs/language.md": ("language", make_language_table(records)),
        ROOT / "docs/results.md": ("calibration", make_calibration_table(records)),
        ROOT / "docs/training.md": ("hours", make_hours_table()),
    }
    return {
        RESULTS / "scores.csv": make_scores(records),
        RESULTS / "timm.csv": make_timm_table(records),
        ROOT / "MODEL_CARDS.md": cards,
        ROOT / "docs/record.schema.json": json.dumps(make_schema(), indent=1) + "\n",
        **{
            path: fill(path.read_text(), name, "zoo.build", table)
            for path, (name, table) in tables.items()
        },
    }


def build(check=False):
    """Writes what is out of date, or reports it; returns the exit code."""
    texts = make_records()
    stale = _find_stale(texts) + [path for path in RECORDS.glob("*.json") if path not in texts]
    if not check:
        _update(stale, texts)
        catalog.all_presets.cache_clear()
    texts |= make_pages()
    pages = [path for path in _find_stale(texts) if path not in stale]
    if check:
        for path in (*stale, *pages):
            name = path.relative_to(ROOT)
            print(f"{name} is out of date: run python -m zoo.build", file=sys.stderr)
        return 1 if stale or pages else 0
    _update(pages, texts)
    return 0


def _find_stale(texts):
    return [p for p, text in texts.items() if not p.exists() or p.read_text() != text]


def _update(stale, texts):
    for path in stale:
        if path in texts:
            path.parent.mkdir(exist_ok=True)
            write_text(path, texts[path])
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}, which has no preset")


def main(arguments=None):
    """Runs one of the commands above; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.build",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="Write nothing.")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        return build(options.check)
    except checks.InputError as error:
        print(f"zoo.build: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
