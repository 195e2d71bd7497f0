"""The images or words that a network is analyzed on, and those of its batch statistics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks, data, models
from keras_unrolled.data import archives, tables
from keras_unrolled.data.broken import check_images
from keras_unrolled.data.hub_datasets import is_address
from keras_unrolled.data.listing import is_image, is_preset, list_folders, list_images, walk
from keras_unrolled.data.loading import check_no_data_dir, choose
from keras_unrolled.data.memory import as_examples, is_path
from keras_unrolled.data.tfds import is_prepared
from keras_unrolled.paths import name_place
from keras_unrolled.presets.scoring import find_images
from keras_unrolled.reporting.notes import LIMIT, RECALIBRATE

SAMPLE = "sample"
UNLABELED = ("unlabeled",)


@dataclass(frozen=True)
class Inputs:
    """What a network is looked at with.

    Attributes:
        values: images as `Samples` takes them, or a list of words.
        labels: optional int64 array `(n,)`.
        dataset: string, the name or path of the data.
        split: string, which part of them.
        notes: tuple of strings, what a reader should know of the data.
        calibration: optional images for the batch statistics of changed networks.
        calibrated_on: string, which these are.
        train: optional `Examples` to train probes on.
        shared: bool, whether the images of `calibration` are among those of `values`.
    """

    values: Any
    labels: np.ndarray | None
    dataset: str
    split: str
    notes: tuple[str, ...] = ()
    calibration: Any = None
    calibrated_on: str = "none"
    train: data.Examples | None = None
    shared: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def place(self) -> str:
        """The data set and the part of it; a folder without parts is named once."""
        return name_place(self.dataset, self.split)


def load_inputs(
    model: Any,
    dataset: Any = None,
    *,
    data_dir: str | Path | None = None,
    known_as: str | None = None,
    limit: int = LIMIT,
    recalibrate: int = RECALIBRATE,
    probes: int = 0,
    skip_broken: bool = False,
    seed: int = 0,
) -> Inputs:
    """Images or words for a model.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        dataset: `Examples`, images or a pair of images and labels as `as_examples` takes them, or
            what `evaluate` takes: "sample", "cifar10" or another name of TFDS, the
            path of a folder of class folders or of a CSV file; or that of a folder with pictures in
            it, which have no labels. None stands for `known_as` where `data_dir` has it, else for the
            pictures in `data_dir`, and without one for "sample".
        data_dir: TFDS's data directory, or the folder of a language model's text.
        known_as: optional string, the name of TFDS's data set that the model was trained on.
        limit: int, images or words at most: the first ones or, of images whose classes come in runs or
            whose first ones lack classes, and of those without labels, as many drawn over the whole.
        recalibrate: int, images for batch statistics at most: of the training part if the data have
            one, else of the images themselves. 0 for none.
        probes: int, training images for linear probes at most; 0 for none.
        skip_broken: bool, whether image files that do not decode are left out.
        seed: int, of what is drawn.

    Raises:
        InputError: as `evaluate`, but not for a folder of other classes, which has no labels then; and
            for probes of data without a training part.
    """
    if isinstance(model, models.CharacterLM):
        if data_dir is None:
            raise checks.InputError(
                "Expected --data-dir, the folder of the text, for a language model. Received none. "
                "Pass --data-dir DIR with test.txt in it."
            )
        words = data.read_words(data_dir, "test")
        first = "the first word" if limit == 1 else f"the first {limit:,} words"
        split = "test" if len(words) <= limit else f"test, {first}"
        return Inputs(words[:limit], None, str(Path(data_dir).name), split)
    dataset, data_dir = _find_dataset(dataset, data_dir, known_as)
    examples, name, why_blank = _load_examples(dataset, model, data_dir)
    examples = check_images(choose(examples, limit, seed), skip=skip_broken)
    notes = examples.notes
    if why_blank:
        notes += (f"{why_blank}: what needs them was not measured",)
    found = {
        count: _find_training(dataset, data_dir, count, seed, skip_broken)
        for count in {recalibrate, probes} - {0}
    }
    calibration, calibrated_on = None, "none"
    if recalibrate:
        part = found[recalibrate] or choose(examples, recalibrate, seed)
        what = checks.count(len(part), "training image")
        if found[recalibrate] is None:
            what = f"{len(part):,} of the images themselves, as the data have no training part"
        calibration, calibrated_on = part.images, f"{what} ({part.split})"
    return Inputs(
        examples.images,
        None if why_blank else examples.labels,
        str(name),
        examples.split,
        notes,
        calibration,
        calibrated_on,
        _align_probes(found[probes], model) if probes else None,
        bool(recalibrate) and found[recalibrate] is None,
    )


def _load_examples(dataset, model, data_dir):
    """`Examples`, the name of the data, and why they have no labels, or None.

    Classes that are not the network's are no labels for it.
    """
    if not is_path(dataset):
        check_no_data_dir("images in memory", data_dir)
        examples, has_labels = as_examples(dataset, model.labels, model.num_classes)
        why = None if has_labels else "the images have no labels"
        return data.align(examples, model.labels, count=model.num_classes), examples.split, why
    flat = _list_unlabeled(dataset, data_dir)
    if flat:
        check_no_data_dir(f"the pictures in {dataset}", data_dir)
        blank = np.zeros(len(flat), "int64")
        place = checks.expand(str(dataset))
        images = data.ImageFiles(flat, root=place)
        examples = data.Examples(images, blank, UNLABELED, str(place))
        return examples, str(dataset), "the pictures have no labels"
    try:
        return *find_images(dataset, model, data_dir=data_dir), None
    except checks.InputError as error:
        if _as_folder(dataset, data_dir) is None:
            raise
        try:
            examples = data.load(dataset, data_dir, ["test", "validation"])
        except checks.InputError:
            raise error from None
        why = f"the pictures have no labels of the network's. {str(error).rstrip('.')}"
        return examples, str(dataset), why


def _find_dataset(dataset, data_dir, known_as):
    """The data set, and TFDS's directory or None."""
    checks.named("dataset", dataset)
    checks.named("data_dir", data_dir)
    if dataset is not None or data_dir is None:
        return SAMPLE if dataset is None else dataset, data_dir
    place = checks.expand(data_dir)
    if known_as is not None and (place / known_as).is_dir():
        return known_as, data_dir
    return str(data_dir), None


def _as_folder(dataset, data_dir):
    """The folder of pictures that a data set's name is the path of, or None."""
    if not is_path(dataset) or str(dataset) in (SAMPLE, "cifar10") or is_address(dataset):
        return None
    place = checks.readable("dataset", dataset)
    if archives.is_archive(place) and data_dir is None:
        with archives.unpacked(place) as folder:
            return folder
    return place if place.is_dir() and (data_dir is None or not is_prepared(place)) else None


def _list_unlabeled(dataset, data_dir):
    """The pictures of a folder that has no class folders with pictures; none for other data."""
    place = _as_folder(dataset, data_dir)
    if place is None:
        return []
    folders = (p for p in list_folders(place) if not is_preset(p))
    return [] if any(map(is_image, (p for f in folders for p in walk(f)))) else list_images(place)


def find_training_source(dataset: Any, data_dir: Any, known_as: str | None) -> Any:
    """What `finetune` takes for the training part of the data, and TFDS's directory.

    None for data without a training part.
    """
    dataset, data_dir = _find_dataset(dataset, data_dir, known_as)
    place = _as_folder(dataset, data_dir)
    if not is_path(dataset) or str(dataset) == SAMPLE or is_address(dataset):
        return None
    if place is not None:
        return (place, None) if "train" in data.find_parts(place)[0] else None
    if Path(str(dataset)).suffix.lower() in tables.SUFFIXES:
        return None
    if dataset == "cifar10":
        return data.load_cifar10(data_dir, "train"), data_dir
    return f"{str(dataset).split(':')[0]}:train", data_dir


def _find_training(dataset, data_dir, count, seed, skip_broken):
    """`Examples` of the training part of the data, or None."""
    if not is_path(dataset) or str(dataset) == SAMPLE or is_address(dataset):
        return None
    name, place = str(dataset), _as_folder(dataset, data_dir)
    if name == "cifar10":
        return data.load_cifar10(data_dir, f"train[:{min(count, 50_000)}]")  # all that it has
    if place is not None:
        folders, _ = data.find_parts(place)
        if "train" not in folders:
            return None
        return check_images(
            choose(data.load_folder(folders["train"]), count, seed), skip=skip_broken
        )
    if Path(name).suffix.lower() in tables.SUFFIXES:
        return None
    try:
        return choose(data.load_tfds(name.split(":")[0], data_dir, "train"), count, seed)
    except checks.InputError:  # it has no training part, or only the other one was prepared
        return None


def _align_probes(train, model):
    """Training images with the labels of the network."""
    if train is None:
        raise checks.InputError(
            "Expected data with a training part, to train probes on. Received data without. Pass a "
            "data set of TFDS or a folder with train and test in it, or leave --probes out."
        )
    return data.align(train, model.labels, count=model.num_classes)
