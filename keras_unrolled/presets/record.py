"""The record: the frozen account of a preset."""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Any

from keras_unrolled import checks
from keras_unrolled.files import read_json, write_text
from keras_unrolled.presets.record_types import (
    NEEDED,
    check_calibration,
    check_file_names,
    check_metrics,
    check_types,
)

FILE = "record.json"
IMAGES, TEXT = "image-classification", "text-generation"  # as the Hub calls them
ORIGINS = ("trained", "regated", "recipe only")
# Of a name, which is printed as it is: what moves a cursor, ends a line or turns a text around.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PAPERS = (
    "https://arxiv.org/abs/1612.07771",  # Greff et al. 2017, the idea
    "https://arxiv.org/abs/1505.00387",  # Srivastava et al. 2015, Highway
    "https://arxiv.org/abs/1512.03385",  # He et al. 2015, Residual
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a preset is, where it comes from, and what it scored.

    Args:
        name: the preset's name.
        task: "image-classification" or "text-generation".
        description: one sentence.
        origin: "trained" (`training` describes how), "regated" (the weights of another
            checkpoint, described in `source`, with another gating or layout), or "recipe only"
            (no weights yet; `training` has the command that trains it).
        parameters: number of trainable weights.
        macs: multiply-accumulates for one image of the preset's size.
        network: the backbone's configuration.
        preprocessing: size, crop fraction, interpolation, scale and offset.
        labels: the classes' names.
        label_set: "imagenet" if the names are those of ImageNet-1k, which are then not repeated in
            `labels`.
        metrics: scores, each a dict of dataset, split, n, metric, value, resolution and
            origin (how it was measured; a score without it is rejected).
        calibration: "temperature", by which scores are divided where this is asked for, "dataset", "split"
            and "n", the examples that it was chosen on, and "origin", how; "scored_on" and "scored_n",
            other examples, and the scores of probabilities on them "before" and "after". Empty if no
            temperature was chosen.
        dataset: the data set that the preset is for, by its TFDS name: "cifar10",
            "imagenet2012" or "ptb"; or what the user's own data are called.
        files: sha256 and size in bytes of every file of the preset.
        source: of a regated preset: "repository" or "name", "revision", "gating", "files"
            (as above), "license" and "metrics", the source's own scores.
        training: recipe, command, commit, seed, hours, hardware, the base of a
            fine-tuning.
        repository: `org/name` on the Hub, where it is published.
        revision: commit of the repository that the name stands for.
        versions: of the libraries that made it.
        license: SPDX identifier of the weights' license.
        papers: addresses.

    Raises:
        InputError: for a value of another type, a name with control characters, an unknown origin,
            a metric without its origin or with an impossible value, or a file name that leads
            elsewhere.

    Example:
        >>> import keras_unrolled as ku
        >>> record = ku.load_record("highway_bn_imagenet")
        >>> record.origin, record.source["gating"], record.license
        ('regated', 'residual', 'Apache-2.0')
    """

    name: str
    task: str = IMAGES
    description: str = ""
    origin: str
    parameters: int
    macs: int | None = None
    network: dict[str, Any] = field(default_factory=dict, repr=False)
    preprocessing: dict[str, Any] = field(default_factory=dict, repr=False)
    labels: tuple[str, ...] = field(default=(), repr=False)
    label_set: str | None = None
    metrics: tuple[dict[str, Any], ...] = ()
    calibration: dict[str, Any] = field(default_factory=dict, repr=False)
    files: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    source: dict[str, Any] = field(default_factory=dict, repr=False)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    repository: str | None = None
    revision: str | None = None
    versions: dict[str, str] = field(default_factory=dict, repr=False)
    license: str = "Apache-2.0"
    papers: tuple[str, ...] = field(default=PAPERS, repr=False)
    dataset: str | None = None

    def __post_init__(self):
        check_types(self)
        check_name(self.name)
        checks.one_of("origin", self.origin, ORIGINS)
        checks.one_of("task", self.task, (IMAGES, TEXT))
        check_metrics(self)
        check_calibration(self)
        for row in (*self.metrics, *(self.source.get("metrics") or ())):
            _check_score(row)
        check_file_names(self)
        needs = {
            "regated": [("source", "repository or name", {"repository", "name"})],
            "recipe only": [("training", "command", {"command"})],
        }
        for place, what, keys in needs.get(self.origin, ()):
            if not keys & getattr(self, place).keys():
                raise checks.InputError(
                    f"Expected a record of origin {self.origin!r} to have {what} in `{place}`. "
                    f"Received: {place}={getattr(self, place)!r}. Complete it."
                )
        if self.origin == "recipe only" and (self.files or self.metrics):
            raise checks.InputError(
                f"Expected no files and no scores of {self.name!r}, which has not been trained. "
                "Received some. Remove them, or correct the origin."
            )

    @property
    def has_weights(self):
        """Whether weights exist: as files, on the Hub or in the preset's source."""
        return self.origin != "recipe only"

    def score(self, dataset, split="test", metric="accuracy"):
        """The recorded value for a data set and split, or None."""
        for row in self.metrics:
            if (row["dataset"], row["split"], row["metric"]) == (dataset, split, metric):
                return row["value"]
        return None

    def find_main_score(self) -> dict[str, Any] | None:
        """The row of `metrics`, or else of the source's, that stands for the preset in tables.

        It is the last on the record's own data set, and the last of all where there is none.
        """
        rows = list(self.metrics or self.source.get("metrics") or ())
        own = [row for row in rows if row["dataset"] == self.dataset]
        return (own or rows or [None])[-1]

    @staticmethod
    def show(row):
        """The value of a metric as text: an accuracy in percent, others as they are."""
        return f"{row['value']:.2%}" if is_accuracy(row["metric"]) else f"{row['value']:.2f}"

    def to_dict(self):
        """The record as plain data."""
        return dataclasses.asdict(self)

    def sizes(self):
        """Bytes by file name, or None where the files are not known."""
        return {name: facts["size"] for name, facts in self.files.items()} or None

    def to_json(self):
        """The record as the text of its file."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def write(self, path):
        """Writes the record as JSON, aside first."""
        write_text(path, self.to_json())

    @classmethod
    def read(cls, path):
        """Reads a record.

        Raises:
            InputError: if the file is missing, is not JSON, lacks what a record has, or has an
                unknown key or an impossible value.
        """
        data = read_json(path)
        for entry in (data, data.get("source")):  # as 0.1 spelled it at first
            if isinstance(entry, dict) and "licence" in entry:
                entry["license"] = entry.pop("licence")
        names = {f.name for f in dataclasses.fields(cls)}
        _check_keys(data, names, path)
        for key in ("labels", "metrics", "papers"):
            if isinstance(data.get(key), list):
                data[key] = tuple(data[key])
        if "dataset" in data:
            return cls(**data)
        record = cls(**data)  # of version 0.1 before it was a field
        scores = [*record.metrics, *(record.source.get("metrics") or ())]
        dataset = record.training.get("dataset") or next((row["dataset"] for row in scores), None)
        return dataclasses.replace(record, dataset=dataset)


def is_accuracy(metric):
    """Whether a metric is a share of answers that are right: "accuracy", "top5_accuracy"."""
    return "accuracy" in metric


def _check_score(row):
    """Raises `InputError` for a score that no network can have."""
    if is_accuracy(row["metric"]):
        wanted, fits = "from 0 to 1", 0 <= row["value"] <= 1
    elif row["metric"] == "perplexity":
        wanted, fits = "of at least 1", row["value"] >= 1
    else:
        return
    if not fits:
        metric = checks.first_line(row["metric"], 50)
        raise checks.InputError(
            f"Expected the {metric} in a record to be {wanted}. Received: {row['value']!r} on "
            f"{checks.first_line(row['dataset'], 50)}. Correct the value, or restore the record."
        )


def check_name(name):
    """Raises `InputError` for the name of a preset that cannot be printed as it is."""
    if _CONTROLS.search(name):
        raise checks.InputError(
            "Expected the name of a preset to be without control characters and in one line. "
            f"Received: {ascii(name)[:200]}. Choose another name, or restore the record."
        )


def _check_keys(data, names, path):
    """Raises `InputError` for a record with an unknown key, or without one that it needs."""
    unknown = [checks.first_line(key, 50) for key in data if key not in names]
    if unknown:
        hint = checks.did_you_mean(unknown[0], names) or (
            "Remove what was added, restore the file, or update keras_unrolled if a newer version "
            "wrote it."
        )
        raise checks.InputError(
            f"Expected only the keys of a record in {path}. Found unknown ones: "
            f"{', '.join(map(repr, unknown[:5]))}. {hint}"
        )
    missing = sorted(set(NEEDED) - data.keys())
    if missing:
        raise checks.InputError(
            f"Expected a record in {path}, with name, origin, parameters and files. Found none of: "
            f"{', '.join(missing)}. Restore the file."
        )
