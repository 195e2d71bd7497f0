"""The report on a classifier: tables, figures and a page, in one folder."""

import datetime
import json
import time
from pathlib import Path
from typing import Any

from keras_unrolled import checks, environment, files
from keras_unrolled.data.hub_datasets import is_address
from keras_unrolled.data.memory import is_path
from keras_unrolled.reporting.analysis import FIGURES, PAGE, SUMMARY, check_report
from keras_unrolled.reporting.diagnosis import figures
from keras_unrolled.reporting.diagnosis.findings import Findings, summarize
from keras_unrolled.reporting.diagnosis.pages import write_page
from keras_unrolled.reporting.diagnosis.tables import count_answers
from keras_unrolled.reporting.diagnosis.training import draw_training

KIND = "evaluate"  # of a report, as its summary states it


def check_target(out: str | Path, sources: Any, *, overwrite: bool) -> Path:
    """The path of a report's folder to make.

    Args:
        out: path.
        sources: list of data that are read, of which folders must not hold the report.
        overwrite: bool, whether an earlier report of this kind may be replaced.

    Raises:
        InputError: for a folder that cannot be written, that holds something else or an earlier report
            that must not be replaced, or that is within the data.
    """
    out = check_report(out, overwrite=overwrite)
    if (out / SUMMARY).is_file() and files.read_json(out / SUMMARY).get("kind") != KIND:
        raise checks.InputError(
            f"Expected a new folder for the report, or one of keras-unrolled {KIND}. Found a report of "
            f"another kind at {out}. Choose another folder."
        )
    for source in sources:
        if source is None or not is_path(source) or is_address(source):
            continue
        folder = checks.readable("the data", source).resolve()
        if folder.is_dir() and out.resolve().is_relative_to(folder):
            raise checks.InputError(
                f"Expected a folder for the report outside of the data in {source}. Received: {out}. Choose "
                "another folder."
            )
    return out


def write_report(
    out: Path,
    found: Findings,
    settings: dict[str, Any],
    began: float,
    training: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes a report; its folder appears complete or not at all.

    Args:
        out: path, as `check_target` gives it.
        found: `Findings`.
        settings: dict of what else the report states of its making.
        began: float, the `time.perf_counter` at the start.
        training: optional dict, "result" and "history" of a fine-tuning, which gets a section.

    Returns:
        The dict of `summarize`, with "out", "report", the path of the page, and "seconds".

    Raises:
        InputError: if it cannot be written.
    """
    result = {**summarize(found), "out": str(out), "report": str(out / PAGE)}
    with files.written_aside(out) as aside:
        for name, table in found.tables.items():
            table.to_csv(aside / f"{name}.csv")
        history = training["history"] if training else []
        drawn = _draw(found, aside / FIGURES, history)
        settings = {**_describe(found), **settings}
        result["seconds"] = round(time.perf_counter() - began, 1)
        text = json.dumps(
            {"kind": KIND, **result, "settings": settings}, indent=1, ensure_ascii=False
        )
        files.write_text(aside / SUMMARY, text + "\n")
        tuned = training["result"] if training else None
        write_page(aside / PAGE, found, result, drawn, settings, tuned)
    return result


def _draw(found, folder, history):
    """Draws every figure as PNG and SVG; a dict from its name to what the page shows."""
    folder.mkdir()
    labels, names = found.examples.labels, found.examples.names
    counts = count_answers(labels, found.answers, len(names))
    pairs = [(names[labels[i]], names[found.answers[i]]) for i in found.worst]
    titles = [
        f"{i}. {label}, answer {answer}"
        for i, (label, answer) in enumerate(pairs[: len(found.maps)], start=1)
    ]
    bins = found.tables["reliability"].rows
    steps = {
        "confusion": lambda path: figures.plot_confusion(counts, names, path),
        "reliability": lambda path: figures.plot_reliability(bins, path),
        "maps": lambda path: figures.plot_maps(found.maps, titles, path),
    }
    if history:
        steps["training"] = lambda path: draw_training(history, path)
    drawn: dict[str, str | bytes] = {}
    for name, plot in steps.items():
        png, svg = plot(folder / f"{name}.png"), plot(folder / f"{name}.svg")
        drawn[name] = png.read_bytes() if name == "maps" else svg.read_text(encoding="utf-8")
    return drawn


def _describe(found):
    """The settings that a report states."""
    return {
        "network": found.name,
        "data": found.dataset,
        "part": found.examples.split,
        "images": f"{len(found.examples):,}",
        "classes": f"{len(found.examples.names):,}",
        "scores are in-sample": found.in_sample,
        "temperature chosen on": f"{found.calibration.chosen_on} ({found.calibration.n:,} images)",
        **describe_making(),
    }


def describe_making() -> dict[str, str]:
    """When and by what a report is made."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": environment.read_commit() or "not a checkout",
        "hardware": environment.hardware(),
        "versions": ", ".join(f"{k} {v}" for k, v in environment.software_versions().items()),
    }
