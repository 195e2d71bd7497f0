"""What a fine-tuning writes next to its preset, and what it says about the result."""

import csv
import dataclasses
import shutil
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.analysis import plots
from keras_unrolled.engine.log import read_log
from keras_unrolled.evaluation.comparison import wilson_interval
from keras_unrolled.finetuning.range_test import draw_curve, write_curve

HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy")


def read_history(folders):
    """The rows of the phases' logs, in order, each with its phase and an epoch of the whole run.

    Args:
        folders: dict from a phase's name to its folder.
    """
    rows: list[dict[str, Any]] = []
    for phase, folder in folders.items():
        for row in read_log(folder / "log.csv"):
            figures = {key: row[key] for key in ("learning_rate", *HISTORY)}
            rows.append({"epoch": len(rows) + 1, "phase": phase, **figures})
    return rows


def write_files(place, *, model, history, folders, held, scores, names, range_test):
    """Writes curves, confusion matrix, history, answers and event files into a preset's folder.

    Args:
        place: path of the preset's folder.
        model: the trained classifier.
        history: rows of `read_history`.
        folders: dict from a phase's name to the folder of its run.
        held: `Examples` that were held out; only their labels and names are used.
        scores: float array `(n, classes)`, the model's scores of them.
        names: list of n strings, what to call each image.
        range_test: what `run_range_test` returned, or an empty dict.

    Returns:
        A list of notes on files that could not be written: they never cost the preset.
    """
    steps = {
        "curves.png": lambda path: _draw_curves(history, path),
        "confusion.png": lambda path: plots.plot_confusion(
            held.labels, np.argmax(scores, -1), held.names, path
        ),
        "history.csv": lambda path: _write_history(history, path),
        "held_out.csv": lambda path: _write_answers(model, held, scores, names, path),
        "tensorboard": lambda path: _copy_events(folders, path),
    }
    if range_test:
        steps["find_lr.png"] = lambda path: draw_curve(range_test, path)
        steps["find_lr.csv"] = lambda path: write_curve(range_test, path)
    notes = []
    for name, write in steps.items():
        try:
            write(place / name)
        except Exception as error:  # of any library that writes them
            notes.append(f"{name} could not be written ({type(error).__name__}: {error})")
    return notes


def _draw_curves(history, path):
    curves = {key: [row[key] for row in history] for key in HISTORY}
    starts: dict[str, int] = {}
    for row in history:
        starts.setdefault(row["phase"], row["epoch"])
    plots.plot_curves(curves, path, phases=starts)


def _write_history(history, path):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, fieldnames=list(history[0]))
        rows.writeheader()
        rows.writerows(history)


def _write_answers(model, held, scores, names, path):
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "predicted", "probability"])
        best = model.decode(scores, top=1)
        for name, label, (answer,) in zip(names, held.labels, best):
            rows.writerow([name, held.names[label], *answer])


def _copy_events(folders, path):
    for phase, folder in folders.items():
        if (folder / "tensorboard").is_dir():
            shutil.copytree(folder / "tensorboard", path / phase)


def summarize_phases(history, phases):
    """One dict for each phase: its name, epochs, learning rate, and accuracies at its end."""
    summaries = []
    for phase in phases:
        rows = [row for row in history if row["phase"] == phase.name]
        if rows:
            summaries.append(
                {
                    "phase": phase.name,
                    "trained": "the whole network" if phase.whole else "the new head",
                    "epochs": len(rows),
                    "learning_rate": phase.learning_rate,
                    "accuracy": rows[-1]["accuracy"],
                    "val_accuracy": rows[-1]["val_accuracy"],
                }
            )
    return summaries


def suggest(options, history, count):
    """Sentences about what to try next.

    Args:
        options: `Options`.
        history: rows of `read_history`.
        count: int, how many images are held out.
    """
    hints, last = [], history[-1]
    network = [row["val_accuracy"] for row in history if row["phase"] == "network"]
    if (
        len(network) >= 3
        and network[-1] > max(network[:-2], default=0)
        and options.patience is None
    ):
        hints.append(f"Accuracy was still rising at the end. Try --epochs {2 * options.epochs}.")
    best = max(row["val_accuracy"] for row in history)
    if best - last["val_accuracy"] > 0.02 and options.patience is None:
        hints.append("An earlier epoch scored better. Try --patience 5, which keeps the best one.")
    low, high = wilson_interval(best, count)
    margin = (high - low) / 2
    if margin > 0.03:
        hints.append(
            f"With {checks.count(count, 'held-out image')} an accuracy is known to about {margin:.0%}. "
            "Compare runs on more images."
        )
    return hints


def describe_options(options):
    """The options that differ from their defaults."""
    return {
        each.name: getattr(options, each.name)
        for each in dataclasses.fields(options)
        if getattr(options, each.name) != each.default
    }
