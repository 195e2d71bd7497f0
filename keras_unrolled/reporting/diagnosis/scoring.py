"""Scoring a preset or a model on data, with a report where one is asked for."""

import time
from pathlib import Path
from typing import Any

from keras_unrolled import checks, data
from keras_unrolled.data import archives, tables
from keras_unrolled.data.hub_datasets import is_address
from keras_unrolled.data.memory import is_path
from keras_unrolled.models.character_lm import CharacterLM
from keras_unrolled.presets import scoring
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.reporting.diagnosis.findings import check_examples, diagnose
from keras_unrolled.reporting.diagnosis.language import diagnose_text
from keras_unrolled.reporting.diagnosis.language_report import write_text_report
from keras_unrolled.reporting.diagnosis.report import check_target, write_report

SAMPLE = "sample"


def evaluate(
    preset: Any,
    dataset: Any = SAMPLE,
    *,
    data_dir: str | Path | None = None,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 1,
    skip_broken: bool = False,
    soft_labels: str | Path | None = None,
    report: str | Path | None = None,
    calibrate_on: Any = None,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Scores a classifier on labeled images, or a language model on a text.

    With `report` a folder is written, too, with `report.html`, which needs nothing else, `report.json`,
    a CSV of each table, and the folder `figures`: accuracy of each class and the confusion matrix;
    calibration before and after a temperature; averages over mirror images; the pictures with the highest
    loss and where the network looks in them; labels that may be wrong; near-duplicates; unusual sizes.
    For a language model: perplexity by the frequency of words; the worst sentences; calibration of the
    next word.

    Args:
        preset: a name, folder or address of a preset, or a model.
        dataset: for a classifier `Examples`, a pair of images `(n, height, width, channels)` and class
            numbers `(n,)`, "sample" (1,000 bundled images of CIFAR-10's test set), "cifar10",
            "imagenet2012" or another name of TFDS (its test or validation split), the path of a folder
            of class folders, of a zip file of one or of a CSV file, or the address of a data set on the
            Hugging Face Hub, "hf-dataset://org/name"; for a language model the path of the folder with its
            text files, unless `data_dir` is given.
        data_dir: TFDS's data directory, or the folder of the text files.
        split: "test", "valid" or "train", which text file.
        limit: optional int, how many images or words to use: the first ones or, of images whose classes
            come in runs or whose first ones lack classes, as many drawn evenly over the classes.
        batch_size: int, parts of a text that are read in parallel.
        skip_broken: bool, whether image files that do not decode are left out.
        soft_labels: optional path of an `.npy` file with people's answers to all images of the data set, in its
            published order, as CIFAR-10H has them: see `evaluation.read_soft_labels`. Without a report only.
        report: optional path of the folder of a report to make.
        calibrate_on: optional, data as `dataset` takes them, to choose the temperature of the report on;
            by default a random half of the images chooses it and the other half shows its effect.
        seed: int, of that half.
        overwrite: bool, whether an earlier report may be replaced.

    Returns:
        A dict: "preset", "dataset", "split", "n" and "accuracy", and "top_5_accuracy" for 100
        classes or more, "people" with soft labels (as `evaluation.score_soft_labels` returns it, and
        "calibrated", the cross-entropy with the record's temperature), and "notes" if there is something to know
        of the data; or "preset", "split", "tokens", "perplexity" and "unknown". With a report also "low" and "high", "negative_log_likelihood",
        "brier", "calibration_error", "calibration", "mirror", "in_sample", "suspects", "duplicates" and
        "unusual_sizes", as `diagnosis.findings.summarize` has them, or "sentences", "accuracy", "confidence" and
        "calibration_error" of the next word; and "out", "report" and "seconds".

    Raises:
        InputError: if the preset or the data cannot be used; for a report also for images of one class,
            a folder that must not be replaced, and options of a report without one.

    Example:
        >>> import keras_unrolled as ku
        >>> result = ku.evaluate("resnet_nobn_cifar10", limit=100)
        >>> result["dataset"], result["n"], result["accuracy"] > 0.8
        ('cifar10', 100, True)
    """
    options: dict[str, Any] = {"data_dir": data_dir, "limit": limit, "skip_broken": skip_broken}
    if report is None:
        given = {
            "calibrate_on": calibrate_on is not None,
            "overwrite": overwrite,
            "seed": seed != 0,
        }
        _reject(given, "without a report")
        options["soft_labels"] = soft_labels
        return scoring.evaluate(preset, dataset, split=split, batch_size=batch_size, **options)
    _reject({"soft_labels": soft_labels is not None}, "with a report")
    began = time.perf_counter()
    if limit is not None:
        checks.whole("limit", limit, least=1, most=10**9)
    checks.whole("seed", seed, least=0, most=2**32 - 1)
    model = preset if hasattr(preset, "backbone") else from_preset(preset)
    title = scoring.name_model(model) if model is preset else str(preset)
    if isinstance(model, CharacterLM):
        given = {"calibrate_on": calibrate_on is not None, "seed": seed != 0}
        _reject({**given, "skip_broken": skip_broken}, "with a report on a text")
        folder = data_dir or dataset
        out = check_target(report, [folder], overwrite=overwrite)
        text: dict[str, Any] = {"split": split, "batch_size": batch_size, "limit": limit}
        of_text = diagnose_text(model, title, folder, **text)
        return write_text_report(out, of_text, {**text, "limit": limit or "none"}, began)
    _reject({"split": split != "test", "batch_size": batch_size != 1}, "with a report on images")
    out = check_target(report, (dataset, calibrate_on), overwrite=overwrite)
    others = _load_others(calibrate_on, model, data_dir, skip_broken)
    if others is not None and is_path(dataset) and str(dataset) == SAMPLE:
        options["data_dir"] = None  # it is that of the others
    examples, name = scoring.load_images(dataset, model, **options)
    check_examples(examples)
    found = diagnose(model, title, examples, str(name), others=others, seed=seed)
    settings = {"seed": seed, "limit": limit or "none"}
    return write_report(out, found, settings, began)


def _load_others(source, model, data_dir, skip_broken):
    """`Examples` to choose a temperature on and the name of their data, or None."""
    if source is None:
        return None
    if is_path(source):
        if is_address(source):
            examples, name = scoring.load_images(source, model, skip_broken=skip_broken)
            return examples, str(name)
        path = checks.readable("--calibrate-on", source)
        is_file = path.suffix.lower() in tables.SUFFIXES or archives.is_archive(path)
        is_named = not path.is_dir() and not is_file
        if not is_named and not data.tfds.is_prepared(path):
            data_dir = None
    examples, name = scoring.load_images(source, model, data_dir=data_dir, skip_broken=skip_broken)
    return examples, str(name)


def _reject(given, why):
    """Raises `InputError` for options that were given and have no effect."""
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise checks.InputError(
            f"Expected only options that have an effect {why}. Received: {', '.join(names)}. Leave it out."
        )
