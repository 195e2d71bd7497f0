"""Fine-tuning with a report on the images that were held out."""

import csv
import sys
import time
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled import data as loading
from keras_unrolled.data.memory import is_path
from keras_unrolled.finetuning import run
from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.result import list_chosen
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.reporting.diagnosis.findings import check_examples, diagnose
from keras_unrolled.reporting.diagnosis.origin import OUT
from keras_unrolled.reporting.diagnosis.report import check_target, write_report
from keras_unrolled.reporting.diagnosis.tables import tabulate_suspects
from keras_unrolled.reporting.diagnosis.training_labels import check_training_labels


def finetune(
    preset: str | Path,
    data: Any,
    out: str | Path,
    *,
    report: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tunes a preset on labeled images and writes a new preset, and a report where one is asked for.

    The first third of the epochs trains the new head only, the rest the whole network except its
    batch normalization, which stays in inference mode. An interrupted run resumes when it is called again
    with the same arguments.

    The report is that of `evaluate` on the images that were held out, with the course of the training: a
    folder with `report.html`, which needs nothing else.

    Args:
        preset: name, folder or address of the preset to start from.
        data: `Examples`, or a pair of images `(n, height, width, channels)` on a scale of 0 to 255 and
            class numbers `(n,)`; path of a folder with one folder of images for each class, or of such
            folders `train`, `val` and `test`, or of a zip file of it; path of a CSV file with the columns
            file and label; the name of a data set of TFDS, such as "beans" or "cifar10:train[:5%]"; or
            the address of one on the Hugging Face Hub, "hf-dataset://org/name".
        out: path of the preset's folder to make.
        report: optional path of the folder of a report to make.
        overwrite: bool, whether `out` may replace a preset and `report` an earlier report.
        **options: data_dir, TFDS's data directory; replicas and strategy, see `engine.make_strategy`; and
            the options of `keras-unrolled finetune`, with their defaults: epochs, batch_size,
            learning_rate, head_learning_rate, held_out, head_only, stages, layer_decay, weight_decay,
            label_smoothing, augmentation, rand_augment, mixup, balance, skip_broken, patience, find_lr,
            tries, try_minutes, precision, seed.

    Returns:
        A dict: "preset", "base", "classes", "n", the number of held-out images, "accuracy" and
        "balanced_accuracy" (the mean over the classes) of the saved network on them, "epochs",
        "image_size", "phases" (what each did), "limits" (what limits the result), "hints" (what to try
        next), "notes" (on how the data were read), "parameters", "out", "range_test" and "trials" (how the
        learning rate was chosen, else empty), "temperature" (of the probabilities, chosen by the held-out
        images if there are 50 or more, else None), "test" ("n" and "accuracy") for data with a test part,
        and with a report "report", the path of its page.

    Raises:
        InputError: for a preset, folder, image or option that cannot be used; for a report also if it
            cannot be written, is within the data or the preset, or if the held-out images are of one
            class. Nothing is trained then.
        engine.Stopped: after SIGTERM or Ctrl-C, once the state has been saved.

    Example:
        >>> import keras_unrolled as ku
        >>> result = ku.finetune(
        ...     "highway_bn_cifar10", data="pictures/", out="flowers/", epochs=30
        ... )  # doctest: +SKIP
        >>> result["accuracy"], result["n"]  # doctest: +SKIP
    """
    if report is None:
        return run.finetune(preset, data, out, overwrite=overwrite, **options)
    target = check_target(report, [data], overwrite=overwrite)
    _check_apart(target, out)
    chosen = Options(**{k: v for k, v in options.items() if k in Options.__dataclass_fields__})
    parts = _load_parts(data, chosen, options)
    held = _hold_out(parts)
    result = run.finetune(preset, data, out, overwrite=overwrite, **options)
    began = time.perf_counter()
    folder = checks.expand(out)
    # An interruption from here on costs the report, not the preset.
    print(f"{folder} is written; its report follows", file=sys.stderr, flush=True)
    found = diagnose(
        from_preset(folder),
        result["preset"],
        held,
        str(data) if is_path(data) else held.split,
        origin=(OUT, _describe_origin(result, chosen)),
    )
    labels = check_training_labels(preset, parts.examples, parts.train, found.dataset)
    found.training = labels
    rows = tabulate_suspects(labels.suspects, held.names, labels.pictures)
    found.tables["training_suspects"] = rows
    training = {"result": result, "history": read_history(folder / "history.csv")}
    settings = {"base": result["base"], "epochs": result["epochs"]}
    written = write_report(target, found, settings, began, training=training)
    return {**result, "report": written["report"]}


def _check_apart(report, out):
    """Raises `InputError` unless neither of two folders is in the other."""
    ours, theirs = report.resolve(), checks.expand(out).resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise checks.InputError(
            f"Expected folders apart from each other for the preset and its report. Received: {out} and "
            f"{report}. Choose another folder for the report."
        )


def _load_parts(source, chosen, options):
    """The `Parts` that the fine-tuning will have, as files or arrays of their own size."""
    return loading.load_parts(
        source,
        chosen.held_out,
        chosen.seed,
        options.get("data_dir"),
        chooses=chosen.chooses_on_held,
        skip_broken=chosen.skip_broken,
    )


def _hold_out(parts):
    """The `Examples` of some `Parts` that are held out."""
    held = parts.examples.take(parts.held)
    held = loading.Examples(held.images, held.labels, held.names, "held out", held.notes)
    check_examples(held)
    return held


def _describe_origin(result, options):
    text = (
        f"The scores are out of sample: these {checks.count(result['n'], 'image')} were held out of the "
        "fine-tuning."
    )
    if chosen := list_chosen(options, result["trials"]):
        text += f" They chose {' and '.join(chosen)}, so that the accuracy is a little too good."
    return text


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a fine-tuning's `history.csv`: "epoch", "phase", "learning_rate", losses and accuracies."""
    if not path.is_file():  # a full disk costs the file, not the preset
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{k: v if k == "phase" else float(v) for k, v in row.items()} for row in rows]
