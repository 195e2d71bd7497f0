"""The report of a network's measurements: tables, figures and a page, in one folder."""

import dataclasses
import datetime
import json
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

from keras_unrolled import checks, environment, files, models
from keras_unrolled.presets.resolve import load_record
from keras_unrolled.reporting.experiments import BY_NAME
from keras_unrolled.reporting.inputs import find_training_source, load_inputs
from keras_unrolled.reporting.measuring import MEASUREMENTS, measure
from keras_unrolled.reporting.memory import is_path, load_network
from keras_unrolled.reporting.notes import LIMIT, RECALIBRATE, find_notes
from keras_unrolled.reporting.pages import write_page
from keras_unrolled.reporting.pruning import check_pruning, prune_preset
from keras_unrolled.reporting.verdicts import Context

PAGE, SUMMARY, FIGURES = "report.html", "report.json", "figures"
DEFAULTS = {
    "limit": LIMIT,
    "recalibrate": RECALIBRATE,
    "probes": 0,
    "skip_broken": False,
    "prune": 0,
    "prune_by": "influence",
    "finetune": 0,
}


def analyze(
    preset: Any,
    out: str | Path,
    dataset: Any = None,
    *,
    data_dir: str | Path | None = None,
    only: Any = None,
    control: Any = None,
    limit: int = LIMIT,
    recalibrate: int = RECALIBRATE,
    probes: int = 0,
    skip_broken: bool = False,
    prune: int = 0,
    prune_by: str = "influence",
    finetune: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Measures what the blocks of a network do, and writes a report.

    The folder appears complete or not at all. It holds a CSV for each measurement, the folder
    `figures` with a PNG and an SVG for each, `report.html` and `report.json`.

    Args:
        preset: what `from_preset` takes, or what `analysis.as_stack` takes.
        out: path of the folder to make.
        dataset: "sample" (the default), "cifar10" or another name of TFDS, the path of a folder of class
            folders, of a folder of pictures without labels, of a zip file or of a CSV file; also
            `Examples`, images, or a pair of images and labels. A language model reads `test.txt` in
            `data_dir`.
        data_dir: TFDS's data directory, a folder of pictures, or that of a language model's text.
        only: optional name of a measurement, or a list of them; the default is all that the network
            and the data allow.
        control: optional second preset or model, such as a plain network, for the same images.
        limit: int, images or words at most.
        recalibrate: int, images for batch statistics of changed networks at most; 0 for none.
        probes: int, training images for linear probes at most; 0, the default, for no probes.
        skip_broken: bool, whether image files that do not decode are left out.
        prune: int, blocks to leave out in a preset of its own, the folder `pruned`; 0 for none.
        prune_by: "influence" or "lesion", by which blocks are ranked, see `analysis.prune_depth`.
        finetune: int, epochs to fine-tune the pruned preset on the data's training part, to the folder
            `finetuned`; 0 for none.
        overwrite: bool, whether an earlier report at `out` may be replaced.

    Returns:
        A dict: "preset", "dataset", "split", "n", "out", "report", "measured" (names), "skipped" (a dict
        from a name to the reason), "findings" (a dict from a name to a list of dicts of "verdict" and
        "text"), "notes" and "seconds".

    Raises:
        InputError: for what cannot be loaded or measured, and for a folder that is something else.

    Example:
        >>> import tempfile
        >>> import keras_unrolled as ku
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = ku.analyze(
        ...         "highway_bn_cifar10", f"{folder}/report", only="gate_stats", limit=20, recalibrate=0
        ...     )
        >>> result["measured"], result["n"]
        (['gate_stats'], 20)
    """
    began = time.perf_counter()
    options: dict[str, Any] = {"limit": limit, "recalibrate": recalibrate, "probes": probes}
    for option, value in options.items():
        checks.whole(option, value, least=int(option == "limit"), most=10**9)
    only = _check_only(only)
    options["skip_broken"] = skip_broken
    out = check_report(out, overwrite=overwrite)
    model, stack, name = load_network(preset)
    other, second, other_name = (None,) * 3 if control is None else load_network(control)
    _check_pair(model, other)
    known_as = _find_dataset(preset)
    inputs = load_inputs(model, dataset, data_dir=data_dir, known_as=known_as, **options)
    changes: dict[str, Any] = {"prune": prune, "prune_by": prune_by, "finetune": finetune}
    options |= changes
    training = find_training_source(dataset, data_dir, known_as) if finetune else None
    if prune or finetune:
        check_pruning(model, inputs, **changes, training=training)
    found = measure(stack, inputs, only=only, control=second, progress=True)
    notes = find_notes(
        found, inputs, options | {"control": other is not None}, is_text=_is_text(model)
    )
    inputs = dataclasses.replace(inputs, notes=(*inputs.notes, *notes))
    context = Context.of(stack, other_name)
    findings = _judge(found.tables, context)
    settings = _describe(stack, name, inputs, found, context)
    settings["command"] = _command(preset, out, dataset, data_dir, only, control, options)
    result = _summarize(name, out, inputs, found, findings)
    with files.written_aside(out) as aside:
        if prune:
            found.tables["prune"] = prune_preset(
                model, name, inputs, aside, **changes, training=training
            )
            result["pruned"] = found.tables["prune"].rows
        for csv_name, table in found.tables.items():
            table.to_csv(aside / f"{csv_name}.csv")
        drawn = _draw(found.tables, aside / FIGURES, context)
        result["seconds"] = round(time.perf_counter() - began, 1)
        text = json.dumps({**result, "settings": settings}, indent=1, ensure_ascii=False)
        files.write_text(aside / SUMMARY, text + "\n")
        write_page(aside / PAGE, name, inputs, found, findings, drawn, settings)
    return result


def _summarize(name, out, inputs, found, findings):
    """What `analyze` returns, but for the seconds."""
    return {
        "preset": name,
        "dataset": inputs.dataset,
        "split": inputs.split,
        "n": len(inputs),
        "out": str(out),
        "report": str(out / PAGE),
        "measured": [n for n in MEASUREMENTS if n in found.tables],
        "skipped": found.skipped,
        "findings": {n: [vars(f) for f in rows] for n, rows in findings.items()},
        "notes": list(inputs.notes),
    }


def _judge(tables, context):
    """The findings of every measurement that has rows."""
    return {
        e.name: e.judge(tables[e.name], context)
        for e in BY_NAME.values()
        if len(tables.get(e.name, ()))
    }


def check_report(out: str | Path, *, overwrite: bool) -> Path:
    """The path of a report's folder to make.

    Raises:
        InputError: for a folder that cannot be written, that holds something else, or an earlier
            report that must not be replaced.
    """
    files.check_writable(out)
    out = checks.expand(out)
    _check_writing(out)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return out
    if not (out / PAGE).is_file() or not (out / SUMMARY).is_file():
        raise checks.InputError(
            f"Expected a new folder for the report. Found something else at {out}. Choose another folder."
        )
    if not overwrite:
        raise checks.InputError(
            f"Expected a new folder for the report. Found one at {out}. Choose another folder, or pass "
            "--overwrite (in Python: overwrite=True)."
        )
    return out


def _check_writing(out):
    """Raises `InputError` unless a folder can be made where the report goes."""
    place = out.absolute()
    while not place.is_dir():
        place = place.parent
    try:
        Path(tempfile.mkdtemp(prefix=".keras-unrolled-", dir=place)).rmdir()
    except OSError as error:
        raise checks.InputError(
            f"Expected to write the folder {out}. No folder can be made in {place} ({error.strerror}). "
            "Choose another folder."
        ) from error


def _check_only(only):
    """The names of measurements as a list, or None for all."""
    if only is None:
        return None
    names = [only] if isinstance(only, str) else list(only)
    if not names:
        raise checks.InputError(
            "Expected names of measurements in `only`. Received an empty list. Name one, or leave it "
            "out for all."
        )
    return [checks.one_of("only", name, MEASUREMENTS) for name in names]


def _is_text(model):
    return isinstance(model, models.CharacterLM)


def _check_pair(model, other):
    if other is not None and _is_text(model) != _is_text(other):
        raise checks.InputError(
            "Expected a control for the same kind of data. Received a language model and a classifier. "
            "Choose another control."
        )


def _find_dataset(preset):
    """TFDS's name of the data set that a preset is for, or None."""
    try:
        return load_record(preset).dataset if is_path(preset) else None
    except checks.InputError:  # of another library
        return None


def _draw(tables, folder, context):
    """Draws every measurement that has something to show; a dict from its name to the SVG."""
    folder.mkdir()
    drawn = {}
    for name, table in tables.items():
        experiment = BY_NAME.get("cka" if name == "cka_control" else name)
        if experiment is None or not _has_points(name, table):
            continue
        options = {}
        if name == "gate_stats":
            options["histogram"] = tables.get("gate_stats_histogram")
        if name == "cka_control":
            options["names"] = "the network", context.control
        for suffix in (".png", ".svg"):
            path = experiment.plot(table, folder / f"{name}{suffix}", context.gating, **options)
        drawn[name] = path.read_text(encoding="utf-8")
    return drawn


def _has_points(name, table):
    """Whether a figure has more than values that are fixed or hold by construction."""
    if name == "gate_stats":
        return any(row["kind"] in ("free", "coupled") for row in table)
    if name == "optimal_gate":
        return not all(row["tautology"] for row in table)
    if name == "estimation_error":
        return any(row["normalized"] for row in table) or any(row["std"] for row in table)
    return len(table) > 0


def _describe(stack, name, inputs, found, context):
    """The settings that a report states."""
    return {
        "network": name,
        "gating": context.gating,
        "blocks by stage": " + ".join(str(len(stage)) for stage in context.stages),
        "weights": f"{stack.model.count_params():,}",
        "data": inputs.place,
        "images or words": f"{len(inputs):,}",
        "labels": "yes" if inputs.labels is not None else "no",
        "batch statistics recalibrated on": inputs.calibrated_on if found.recalibrated else "none",
        "control": context.control or "none",
        "seed": 0,
        "seconds": ", ".join(f"{step} {s:g}" for step, s in found.seconds.items()),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": environment.read_commit() or "not a checkout",
        "hardware": environment.hardware(),
        "versions": ", ".join(f"{k} {v}" for k, v in environment.software_versions().items()),
    }


def _command(preset, out, dataset, data_dir, only, control, options):
    """The command that makes the report again."""
    if not all(map(is_path, (preset, control, dataset))):
        return "made in Python, from a model or data in memory"
    words = ["keras-unrolled", "analyze", str(preset), "--out", str(out)]
    for flag, value in (("--data-dir", data_dir), ("--dataset", dataset), ("--control", control)):
        words += [flag, str(value)] if value is not None else []
    words += ["--only", *only] if only else []
    for option, value in options.items():
        if value != DEFAULTS[option]:
            flag = "--" + option.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)
