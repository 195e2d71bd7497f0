"""Data sets on the Hugging Face Hub, from their Parquet files.

The files are read with pyarrow, which TensorFlow Datasets needs anyway, not with the library `datasets`: that
would add a hundred megabytes and another copy of the data, and does not compare what it downloads with its
hash. Each picture becomes a file in the cache, as it is encoded, so that everything that reads image files,
a resumed run among it, reads these as well.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_unrolled import assets, checks, dataset_files, files
from keras_unrolled.data.class_names import clean_name, describe_merged
from keras_unrolled.data.decoding import SUFFIXES
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.hub_layout import (
    Columns,
    choose_columns,
    choose_files,
    group_files,
    read_card,
)
from keras_unrolled.progress import progress

SCHEME = "hf-dataset://"
OPTIONS = ("config", "image", "label")
INDEX = "examples.npz"
ROWS = 100  # that are in memory at once
PER_FOLDER = 10_000  # pictures


@dataclass(frozen=True)
class _Request:
    name: str
    revision: str | None
    splits: tuple[str, ...]
    config: str | None = None
    image: str | None = None
    label: str | None = None

    @property
    def title(self):
        return f"{SCHEME}{self.name}" + (f"@{self.revision}" if self.revision else "")


def is_address(source: object) -> bool:
    """Whether data are named by an address `hf-dataset://...`, or the path that one becomes."""
    if not isinstance(source, (str, Path)):
        return False
    return str(checks.find_address(source) or "").startswith(SCHEME)


def load_hub_dataset(source: str | Path, split: str | Sequence[str] = "train") -> Examples:
    """A split of a data set on the Hugging Face Hub as `Examples` whose images are `ImageFiles`.

    Args:
        source: `hf-dataset://org/name`, then optionally `@revision`, `:split` and the options `,config=`,
            `,image=` and `,label=`, which name a configuration and columns, as in
            `hf-dataset://uoft-cs/cifar100:test,label=fine_label`.
        split: string or list of strings, the split where the address has none: the first one that the data
            set has.

    Raises:
        InputError: if there is no such data set, revision, split or column, if it may not be read, if
            several columns may be the image or the label, if an image or label is missing, if it has no
            Parquet files, or if pyarrow is not installed.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.data.load("hf-dataset://uoft-cs/cifar10:test")  # doctest: +SKIP
    """
    request = _parse(source, split)
    _check_installed()
    found = dataset_files.find(request.name, request.revision)
    place = _kept_folder(request, found.commit)
    examples = _read(place, request)
    if examples is None:
        if found.missing is not None:
            raise found.missing
        _write(place, request, found)
        examples = _read(place, request)
    if examples is None:
        raise checks.InputError(
            f"Expected the pictures of {request.title} in the cache. Another program has removed them "
            "meanwhile. Try again."
        )
    return examples


def _parse(source, split):
    address = str(checks.find_address(source))
    match = re.fullmatch(r"hf-dataset://([^@:,]+)(?:@([^:,]+))?(?::([^,]+))?((?:,[^,]*)*)", address)
    pairs = [part.partition("=") for part in match[4].split(",")[1:]] if match else []
    if match is None or not all(key and equals and value for key, equals, value in pairs):
        raise checks.InputError(
            "Expected a data set as hf-dataset://org/name, with @revision, :split and options such as "
            f",label=COLUMN as needed. Received: {checks.first_line(address, 120)}. Write for instance "
            "hf-dataset://uoft-cs/cifar100:test,label=fine_label."
        )
    keys = [key for key, _, _ in pairs]
    checks.check_names(keys, OPTIONS, SCHEME)
    if len(set(keys)) < len(keys):
        raise checks.InputError(
            f"Expected each option of {SCHEME} once. Received: {checks.first_line(address, 120)}. Remove the others."
        )
    splits = [match[3]] if match[3] else [split] if isinstance(split, str) else split
    return _Request(match[1], match[2], tuple(splits), **{key: value for key, _, value in pairs})


def _check_installed():
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise checks.InputError(
            "Expected pyarrow, to read data sets of the Hugging Face Hub. It is not installed. Run: "
            'pip install "keras-unrolled[datasets]"'
        ) from error


def _kept_folder(request, commit):
    """Where the cache keeps the pictures of a request."""
    wanted = repr((request.splits, request.config, request.image, request.label))
    digest = hashlib.sha256(wanted.encode("utf-8", "surrogateescape")).hexdigest()
    namespace = f"datasets--{request.name.replace('/', '--')}"
    return assets.kept_folder(namespace, f"{commit}-{digest[:16]}", request.title) / "files"


def _read(place, request):
    """The `Examples` that a folder of the cache has, or None if it is not there or not complete."""
    try:
        with np.load(place / INDEX, allow_pickle=False) as index:
            paths = [place / path for path in index["paths"].tolist()]
            sizes = index["sizes"].tolist()
            if [os.path.getsize(path) for path in paths] != sizes:
                return None
            return Examples(
                ImageFiles(paths, root=place, alias=request.title),
                index["labels"],
                tuple(index["names"].tolist()),
                f"{request.title}:{index['split'].item()}",
                tuple(index["notes"].tolist()),
            )
    except (OSError, ValueError, KeyError):
        return None


def _write(place, request, found):
    """Writes the pictures of a request and their index; they appear whole or not at all."""
    import pyarrow.parquet as pq

    card = {}
    if "README.md" in found.files:
        path = found.fetch(["README.md"]) / "README.md"
        card = read_card(path.read_text(encoding="utf-8", errors="replace"))
    groups = group_files([file for file in found.files if file.endswith(".parquet")], card)
    split, chosen = choose_files(groups, request.config, list(request.splits), card, request.title)
    folder = found.fetch(chosen)
    with _reading(request):
        tables = [pq.ParquetFile(folder / file) for file in chosen]
        schemas = [table.schema_arrow for table in tables]
    columns = choose_columns(schemas[0], card, request.image, request.label, request.title)
    for schema, file in zip(schemas, chosen):
        if missing := {columns.image, columns.label} - set(schema.names):
            raise checks.InputError(
                f"Expected the same columns in every file of {request.title}. {file} lacks "
                f"{', '.join(sorted(missing))}. Choose another split."
            )
    files.check_room(place, sum(os.path.getsize(folder / file) for file in chosen))
    with files.written_aside(place) as aside:
        _write_pictures(aside, tables, columns, split, request)


@contextmanager
def _reading(request):
    """Reports what a damaged Parquet file leads to."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected complete Parquet files in {request.title}. One cannot be read "
            f"({checks.first_line(error)}). Report it to the owner of the data set."
        ) from error


def _iterate(tables, columns, request):
    """Rows of the two columns, a few at a time."""
    with _reading(request):
        for table in tables:
            yield from table.iter_batches(ROWS, columns=[columns.image, columns.label])


def _write_pictures(aside: Path, tables, columns: Columns, split, request):
    paths: list[str] = []
    sizes, values = [], []
    total = sum(table.metadata.num_rows for table in tables)
    with progress(
        description=f"unpacking {request.name}", total=total, unit="images", hidden=total < 1_000
    ) as bar:
        for batch in _iterate(tables, columns, request):
            pictures = batch.column(columns.image).to_pylist()
            for picture, value in zip(pictures, batch.column(columns.label).to_pylist()):
                row = len(paths)
                content, suffix = _read_picture(picture, row, columns, request)
                name = f"{row // PER_FOLDER:04d}/{row:08d}{suffix}"
                (aside / name).parent.mkdir(exist_ok=True)
                (aside / name).write_bytes(content)
                paths.append(name)
                sizes.append(len(content))
                values.append(value)
            bar.update(len(batch))
    if not paths:
        raise checks.InputError(
            f"Expected images in {request.title}:{split}. It has none. Choose another split."
        )
    labels, names, notes = _number(values, columns, request)
    np.savez_compressed(
        aside / INDEX,
        paths=np.array(paths),
        sizes=np.array(sizes, "int64"),
        labels=labels,
        names=np.array(names),
        split=np.array(split),
        notes=np.array([*columns.notes, *notes], dtype=str),
    )


def _read_picture(picture, row, columns, request):
    """The encoded image of a row and the suffix of its name."""
    content, name = picture, ""
    if isinstance(picture, dict):
        content, name = picture.get("bytes"), picture.get("path")
    if not isinstance(content, bytes) or not content:
        raise checks.InputError(
            f"Expected an image in each row of {request.title}. Row {row:,} has none in the column "
            f"{columns.image!r}. Choose another column: image=COLUMN."
        )
    suffix = os.path.splitext(name if isinstance(name, str) else "")[1].lower()
    return content, suffix if suffix in SUFFIXES else ""


def _number(values, columns, request):
    """Labels as numbers, the names of their classes and notes."""
    missing = sum(value is None or value == -1 for value in values)
    if missing:
        raise checks.InputError(
            f"Expected a label for each image of {request.title}. {missing:,} of {len(values):,} have none "
            f"in the column {columns.label!r}. Choose another split."
        )
    written = columns.names
    if written is None:
        values = [str(value) for value in values]
        written = sorted(set(values))
        places = {name: i for i, name in enumerate(written)}
        values = [places[value] for value in values]
    values = np.array(values, "int64")
    if values.min() < 0 or values.max() >= len(written):
        raise checks.InputError(
            f"Expected labels from 0 to {len(written) - 1} in {request.title}. Found {values.min()} to "
            f"{values.max()} in the column {columns.label!r}. Choose another: label=COLUMN."
        )
    cleaned = [clean_name(name, request.title) for name in written]
    names = list(dict.fromkeys(cleaned))
    merged = np.array([names.index(name) for name in cleaned])
    return merged[values], names, describe_merged(written)
