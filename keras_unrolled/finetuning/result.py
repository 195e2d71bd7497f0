"""The result of a fine-tuning: scores of the network as it is saved, its preset and a summary."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import environment, evaluation
from keras_unrolled.data import ImageFiles
from keras_unrolled.evaluation.calibration import calibrate
from keras_unrolled.finetuning import report
from keras_unrolled.finetuning.limits import describe_limits
from keras_unrolled.presets.saving import portable, save_preset

LEAST_CALIBRATED = 50  # held-out images that choose a temperature


def write_result(run, model, states, overwrite):
    """Scores a trained model and writes its preset.

    Args:
        run: a `Finetuning` that has been trained.
        model: its model.
        states: dict from a phase's name to the state of its run.
        overwrite: bool, whether the folder may replace a preset.

    Returns:
        A dict, see `finetuning.run.finetune`.
    """
    held = run.held
    if run.options.precision != "float32":
        model = portable(model)
    history = report.read_history(run.folders)
    scores = evaluation.predict(model, held.images, progress="held out")
    accuracy = evaluation.accuracy(scores, held.labels)
    notes = [*run.examples.notes, *run.choices.list_notes()]

    def write_extras(place):
        notes.extend(
            report.write_files(
                place,
                model=model,
                history=history,
                folders=run.folders,
                held=held,
                scores=scores,
                names=_list_names(run.examples, run.parts[1]),
                range_test=run.choices.range_test,
            )
        )

    test, test_metrics, test_scores = _score_test(run, model)
    calibration = _calibrate(run, scores, test_scores)
    record = save_preset(
        model,
        run.out,
        overwrite=overwrite,
        extras=write_extras,
        description=f"{run.base} fine-tuned to {len(held.names)} classes",
        training=_describe_training(run, states),
        metrics=(_make_metric(run, accuracy), *test_metrics),
        calibration=calibration,
    )
    shutil.rmtree(run.partial, ignore_errors=True)
    answers = np.argmax(scores, -1)
    recalls = [np.mean(answers[held.labels == i] == i) for i in np.unique(held.labels)]
    size = run.converter.image_size and max(run.converter.image_size)
    return {
        "preset": record.name,
        "base": run.base,
        "classes": list(held.names),
        "n": len(held),
        "accuracy": accuracy,
        "balanced_accuracy": float(np.mean(recalls)),
        "epochs": len(history),
        "image_size": size,
        "phases": report.summarize_phases(history, run.phases),
        "limits": _describe_limits(run, size, history, answers),
        "hints": report.suggest(run.options, history, len(held)),
        **run.choices.describe(),
        "parameters": record.parameters,
        "temperature": calibration.get("temperature"),
        **test,
        "notes": notes,
        "out": str(run.out),
    }


def _describe_limits(run, size, history, answers):
    """Sentences about what limits the result."""
    held = run.held
    return describe_limits(
        size=size,
        picture_size=_find_picture_size(run.examples.images),
        counts=np.bincount(run.examples.labels[run.parts[0]], minlength=len(held.names)),
        history=history,
        options=run.options,
        held=held,
        answers=answers,
    )


def _describe_training(run, states):
    """The record's account of the training."""
    options = run.options
    return {
        "base": run.base,
        "data": f"{len(run.parts[0])} images of {len(run.held.names)} classes",
        **options.to_dict(),
        "held_out": None if run.divided else options.held_out,
        "learning_rate": run.phases[-1].learning_rate,
        "head_learning_rate": run.phases[0].learning_rate,
        **run.choices.describe(empty=False),
        "augmentation": run.images.augmentation,
        "minutes": round(60 * sum(state["hours"] for state in states.values()), 2),
        "hardware": environment.hardware(),
    }


def _make_metric(run, accuracy):
    """The record's score on the held-out images."""
    converter = run.converter
    origin = (
        "the part of the data that is held out"
        if run.divided
        else f"a fraction of {run.options.held_out:g} held out by class"
    )
    return {
        "dataset": _name_data(run),
        "split": "held out",
        "n": len(run.held),
        "metric": "accuracy",
        "value": accuracy,
        "resolution": converter.image_size[0] if converter.image_size else None,
        "crop_fraction": converter.crop_fraction,
        "origin": f"measured after fine-tuning, on {origin}" + _describe_use(run),
    }


def _name_data(run):
    """What the record calls the data."""
    source = run.source
    name = run.examples.split if source is None else Path(source).resolve().name
    return name.encode("utf-8", "backslashreplace").decode()  # of a folder in another encoding


def _describe_use(run):
    """What was chosen by the held-out images, which makes their score look better than it is."""
    chosen = list_chosen(run.options, run.choices.trials.get("trials"))
    return f", which also chose {' and '.join(chosen)}" if chosen else ""


def list_chosen(options, trials):
    """What the held-out images have chosen, "the epoch" and "the learning rate"."""
    chosen = ["the epoch"] if options.patience is not None else []
    return chosen + (["the learning rate"] if trials else [])


def _score_test(run, model):
    """The score on a test part that nothing was chosen by, for the result and the record."""
    if run.test is None:
        return {}, (), None
    scores = evaluation.predict(model, run.test.images, progress="test")
    accuracy = evaluation.accuracy(scores, run.test.labels)
    count = len(run.test)
    origin = "measured once, after fine-tuning, on the test part of the data"
    metric = {**_make_metric(run, accuracy), "split": "test", "n": count, "origin": origin}
    return {"test": {"n": count, "accuracy": accuracy}}, (metric,), scores


def _calibrate(run, scores, test_scores):
    """The record's temperature, which the held-out images choose, and {} for few or all right.

    What it does is shown by a test part. The held-out images were not trained on, but with `--try` and
    `--patience` they have chosen, too.
    """
    held, name = run.held, _name_data(run)
    right = np.argmax(scores, -1) == held.labels
    if len(held) < LEAST_CALIBRATED or right.all():
        return {}
    tested = test_scores is not None
    found = calibrate((scores, held.labels), (test_scores, run.test.labels) if tested else None)
    shown = {"scored_on": f"{name} test"} if tested else {}
    origin = f"the images that are held out{_describe_use(run)}"
    return {**found, "dataset": name, "split": "held out", "origin": origin, **shown}


def _list_names(examples, numbers):
    """What to call some examples: their files, or their numbers."""
    images = examples.images
    if isinstance(images, ImageFiles):
        names: Any = images.shown()
    else:
        names = getattr(images, "paths", range(len(examples)))
    return [names[i] for i in numbers]


def _find_picture_size(images):
    """The median of the shorter sides of some pictures, in pixels."""
    sample = images[: min(len(images), 8)]
    return int(np.median([min(image.shape[:2]) for image in sample]))
