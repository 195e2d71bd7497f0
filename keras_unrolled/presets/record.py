"""The record: the one frozen account of a preset."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_unrolled import checks

FILE = "record.json"
ORIGINS = ("trained", "regated", "recipe only")
PAPERS = (
    "https://arxiv.org/abs/1612.07771",  # Greff et al. 2017, the idea
    "https://arxiv.org/abs/1505.00387",  # Srivastava et al. 2015, Highway
    "https://arxiv.org/abs/1512.03385",  # He et al. 2015, Residual
)
_PACKAGES = ("keras-unrolled", "keras", "keras-hub", "tensorflow", "tensorflow-datasets", "numpy")
_METRIC: dict[str, Any] = {
    "dataset": str,
    "split": str,
    "n": int,
    "metric": str,
    "value": (int, float),
}


@dataclass(frozen=True)
class Record:
    """What a preset is, where it came from, and what it scored.

    Args:
        name: the preset's name.
        origin: "trained", "regated" or "recipe only".
        description: one sentence.
        parameters: number of trainable weights.
        macs: multiply-accumulates for one image of the preset's size.
        network: the backbone's configuration.
        preprocessing: size, crop fraction, interpolation, scale and offset.
        labels: the classes' names.
        metrics: scores, each a dict of dataset, split, n, metric, value, resolution and
            origin (how and by what it was measured; a score without it is refused).
        files: sha256 and size in bytes of every file of the preset.
        training: recipe, command, commit, seed, hours, hardware, the base of a
            fine-tuning.
        versions: of the libraries that made it.
        licence: SPDX identifier of the weights' licence.
        papers: addresses.
    """

    name: str
    origin: str
    parameters: int
    macs: int | None = None
    description: str = ""
    network: dict[str, Any] = field(default_factory=dict, repr=False)
    preprocessing: dict[str, Any] = field(default_factory=dict, repr=False)
    labels: tuple[str, ...] = field(default=(), repr=False)
    metrics: tuple[dict[str, Any], ...] = ()
    files: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    versions: dict[str, str] = field(default_factory=dict, repr=False)
    licence: str = "Apache-2.0"
    papers: tuple[str, ...] = field(default=PAPERS, repr=False)

    def __post_init__(self):
        checks.one_of("origin", self.origin, ORIGINS)
        for key, kind in (("name", str), ("parameters", int), ("files", dict), ("labels", tuple)):
            if not isinstance(getattr(self, key), kind):
                raise checks.InputError(
                    f"Expected `{key}` of a record to be of type {kind.__name__}. "
                    f"Received: {key}={getattr(self, key)!r}. Restore the record."
                )
        for metric in self.metrics:
            for key, kind in _METRIC.items():
                if not isinstance(metric.get(key), kind):
                    raise checks.InputError(
                        f"Expected a metric with {', '.join(_METRIC)} and origin. "
                        f"Received: {metric!r}. Complete it."
                    )
            if not metric.get("origin"):
                raise checks.InputError(
                    "Expected a metric to say how it was measured. Received one without "
                    f"origin: {metric!r}. Add it, or leave the figure out."
                )
        for name, facts in self.files.items():
            if Path(name).name != name or not {"sha256", "size"} <= facts.keys():
                raise checks.InputError(
                    "Expected a record's files to be plain names, each with sha256 and size. "
                    f"Received: {name!r}: {facts!r}. Restore the record."
                )

    def score(self, dataset, split="test", metric="accuracy"):
        """The recorded value for a data set and split, or None."""
        for row in self.metrics:
            if (row["dataset"], row["split"], row["metric"]) == (dataset, split, metric):
                return row["value"]
        return None

    def to_dict(self):
        """The record as plain data."""
        return dataclasses.asdict(self)

    def write(self, path):
        """Writes the record as JSON, aside first."""
        path = Path(path)
        aside = path.with_name(path.name + ".part")
        aside.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        os.replace(aside, path)

    @classmethod
    def read(cls, path):
        """Reads a record.

        Raises:
            InputError: if the file is missing, is not JSON or lacks what a record has.
        """
        data = read_json(path)
        names = {f.name for f in dataclasses.fields(cls)}
        required = {"name", "origin", "parameters", "files"}
        if not required <= data.keys() or not data.keys() <= names:
            raise checks.InputError(
                f"Expected a record in {path}, with {', '.join(sorted(required))}. Found the "
                f"keys {', '.join(sorted(data))}. Restore the file."
            )
        for key in ("labels", "metrics", "papers"):
            if isinstance(data.get(key), list):
                data[key] = tuple(data[key])
        return cls(**data)


def read_json(path):
    """A JSON object from a file.

    Raises:
        InputError: if the file is missing or holds something else.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise checks.InputError(
            f"Expected a file {path}. Found none. Is {path.parent} a preset's folder, and complete?"
        ) from error
    except (OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected JSON in {path}. Found something else ({error}). Restore the file."
        ) from error
    if not isinstance(data, dict):
        raise checks.InputError(
            f"Expected a JSON object in {path}. Found a {type(data).__name__}. Restore the file."
        )
    return data


def fingerprint(path):
    """A file's sha256 and size in bytes, as a record keeps them."""
    with open(path, "rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "size": os.path.getsize(path),
        }


def verify(folder, record):
    """Compares every file of a preset with its record, before any is opened.

    Raises:
        InputError: for the first file that is missing or differs.
    """
    for name, facts in record.files.items():
        path = Path(folder) / name
        if not path.is_file():
            raise checks.InputError(
                f"Expected {name} of the preset {record.name!r} in {folder}. Found no such "
                "file. Restore the folder from where it came."
            )
        found = {"size": path.stat().st_size}
        if found["size"] == facts["size"]:
            found = fingerprint(path)
        if found != facts:
            what = "sha256" if "sha256" in found else "size"
            raise checks.InputError(
                f"Expected {path} to have the {what} {facts[what]} of its record. Found "
                f"{found[what]}. The file is damaged or is another: restore it."
            )


def software_versions():
    """Versions of Python and of the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware():
    """The processor's name and the number of cores, and the GPUs that TensorFlow sees."""
    import tensorflow as tf

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    parts = [f"{name}, {os.cpu_count()} cores"]
    for gpu in tf.config.list_physical_devices("GPU"):
        parts.append(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
    return "; ".join(parts)
