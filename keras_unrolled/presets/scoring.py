"""Scores of a preset or a model on a data set, by its name."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from keras_unrolled import checks, data, evaluation, models
from keras_unrolled.data.broken import check_images
from keras_unrolled.data.loading import check_no_data_dir, choose
from keras_unrolled.data.memory import as_examples, is_path
from keras_unrolled.evaluation.published import read_soft_labels, score_soft_labels
from keras_unrolled.presets.calibration import find_temperature
from keras_unrolled.presets.loading import from_preset


def evaluate(
    preset: Any,
    dataset: Any = "sample",
    *,
    data_dir: str | Path | None = None,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 1,
    skip_broken: bool = False,
    soft_labels: str | Path | None = None,
) -> dict[str, Any]:
    """Scores a classifier on labeled images, or a language model on a text.

    Arguments are those of `keras_unrolled.evaluate`, which also writes reports.

    Returns:
        A dict: "preset", "dataset", "split", "n" and "accuracy", and "top_5_accuracy" for 100
        classes or more, and "notes" if there is something to know of the data; or "preset", "split",
        "tokens", "perplexity" and "unknown".

    Raises:
        InputError: if the preset or the data cannot be used.
    """
    model = preset if hasattr(preset, "backbone") else from_preset(preset)
    name = model.name if model is preset else preset
    title = name_model(model) if model is preset else str(preset)
    if limit is not None:
        checks.whole("limit", limit, least=1, most=10**9)
    if isinstance(model, models.CharacterLM):
        if soft_labels is not None:
            raise checks.InputError(
                "Expected soft labels for a classifier of images. Received a language model. Leave them out."
            )
        folder = data_dir or dataset
        words = data.read_words(folder, split)[:limit]
        scores = evaluation.perplexity(model, words, batch_size=batch_size, progress=title)
        return {"preset": str(name), "split": split, **scores}
    examples, dataset = load_images(
        dataset, model, data_dir=data_dir, limit=limit, skip_broken=skip_broken
    )
    shares = None if soft_labels is None else read_soft_labels(soft_labels, examples)
    predictions = evaluation.predict(model, examples.images, progress=title)
    result = {
        "preset": str(name),
        "dataset": str(dataset),
        "split": examples.split,
        "n": len(examples),
        "accuracy": evaluation.accuracy(predictions, examples.labels),
    }
    if examples.notes:
        result["notes"] = list(examples.notes)
    if predictions.shape[-1] >= 100:
        result["top_5_accuracy"] = evaluation.accuracy(predictions, examples.labels, top=5)
    if shares is not None:
        result["people"] = score_soft_labels(predictions, shares)
        with suppress(checks.InputError):  # without a temperature, or changed since it was chosen
            calibrated = score_soft_labels(predictions, shares, find_temperature(model))
            result["people"]["calibrated"] = calibrated["cross_entropy"]
    return result


def name_model(model):
    """What to call a model on a progress bar: the preset that it was loaded from, if any."""
    provenance = getattr(model, "provenance", None)
    return provenance.source.get("name", model.name) if provenance is not None else model.name


def load_images(dataset, model, *, data_dir=None, limit=None, skip_broken=False):
    """Labeled images of a data set in the order of a model's labels.

    Args:
        dataset: as in `evaluate`.
        model: an `ImageClassifier`, whose class names count.
        data_dir: TFDS's data directory.
        limit: optional int, how many images to use.
        skip_broken: bool, whether image files that do not decode are left out.

    Returns:
        `Examples`, and the name of the data set.
    """
    examples, dataset = find_images(dataset, model, data_dir=data_dir)
    if limit is not None:
        examples = choose(examples, limit)
    return check_images(examples, skip=skip_broken), dataset


def find_images(dataset, model, *, data_dir=None):
    """As `load_images`, all of them, and whether or not they decode."""
    labels = model.labels
    if not is_path(dataset):
        check_no_data_dir("images in memory", data_dir)
        examples, has_labels = as_examples(dataset, labels, model.num_classes)
        if not has_labels:
            raise checks.InputError(
                "Expected labels to score by. Received images alone. Pass the pair (images, labels), or "
                "call predict."
            )
        dataset = examples.split
    elif dataset == "sample":
        check_no_data_dir('the bundled sample (TFDS has all of it as "cifar10")', data_dir)
        examples, dataset = data.load_sample(), "cifar10"
        if labels is not None and set(labels).isdisjoint(examples.names):
            raise checks.InputError(
                "Expected a data set with the network's classes: "
                f"{', '.join(labels[:5])}{', ...' if len(labels) > 5 else ''}. The bundled sample has "
                "those of CIFAR-10. Pass a folder of class folders, a CSV file or a name of TFDS "
                "(--dataset)."
            )
    elif dataset == "cifar10":
        examples = data.load_cifar10(data_dir, "test")
    else:
        # ImageNet's test split has no labels.
        splits = ["validation"] if dataset == "imagenet2012" else ["test", "validation"]
        examples = data.load(dataset, data_dir, splits)
    return data.align(examples, labels, count=model.num_classes), dataset
