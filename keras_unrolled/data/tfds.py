"""Data sets of TensorFlow Datasets."""

import importlib.util
import io
import os
import re
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data import records
from keras_unrolled.data.decoding import decode_image
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.order import read_order


def load_cifar10(data_dir: str | Path | None, split: str) -> Examples:
    """CIFAR-10 (Krizhevsky 2009) as TFDS prepared it.

    Args:
        data_dir: TFDS's data directory, the one that holds `cifar10/`; None means TFDS's
            own default (`~/tensorflow_datasets`, or `TFDS_DATA_DIR`).
        split: a TFDS split, such as "test" or "train[45000:]".

    Returns:
        `Examples`, 32x32 pixels, ten classes.

    Raises:
        InputError: if the data set has not been prepared there, or as `parse_split`.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.data.load_cifar10("tfds/", "test")  # doctest: +SKIP
    """
    place = checks.named("data_dir", data_dir) or os.environ.get(
        "TFDS_DATA_DIR", "~/tensorflow_datasets"
    )
    if not importlib.util.find_spec("tensorflow"):
        folder = records.find_version(place, "cifar10")
        if folder is None:
            raise _not_prepared(place)
        return records.load_small_images(folder, split)
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        builder = tfds.builder("cifar10", data_dir=data_dir and str(checks.expand(data_dir)))
        if builder.info.splits:
            parse_split("cifar10", builder, split, several=True)
        tables = builder.as_dataset(split=split, batch_size=-1)
    except (AssertionError, FileNotFoundError, tfds.core.DatasetNotFoundError) as error:
        raise _not_prepared(place) from error
    table = tfds.as_numpy(tables)
    names = tuple(builder.info.features["label"].names)
    first = tfds.core.ReadInstruction.from_spec(split).to_absolute(builder.info.splits)[0]
    total = builder.info.splits[first.splitname].num_examples
    order = read_order(table.get("id", ()), total, names)
    return Examples(table["image"], table["label"].astype("int64"), names, split, order=order)


def _not_prepared(place):
    return checks.InputError(
        f"Expected CIFAR-10 as TFDS prepares it, in {place}/cifar10/3.0.2. Found none. "
        'Prepare it on a machine with a network: python -c "import tensorflow_datasets as t; '
        "t.builder('cifar10', data_dir='DIR').download_and_prepare()\", and pass "
        "--data-dir DIR."
    )


def parse_split(name, builder, split, *, several=False):
    """A split of a data set as `tfds.core.ReadInstruction`.

    Args:
        name: string, the data set's name, for a message.
        builder: its TFDS builder, whose data have been prepared.
        split: string, the name of a split or a part of it, such as "train[:10%]".
        several: bool, whether it may have several parts, as "train+test" has.

    Raises:
        InputError: if it is malformed or has no images, or for several parts.
    """
    import tensorflow_datasets as tfds

    splits = builder.info.splits
    try:
        instruction = tfds.core.ReadInstruction.from_spec(split)
        parts = instruction.to_absolute(splits)
    except (AssertionError, KeyError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[-1]
        raise _not_a_part(name, splits, split, checks.first_line(reason)) from error
    counts = [splits[part.splitname].num_examples for part in parts]
    if not any((p.from_ or 0) < (n if p.to is None else p.to) for p, n in zip(parts, counts)):
        raise _not_a_part(name, splits, split, "which has no images")
    if len(parts) > 1 and not several:
        raise _not_a_part(name, splits, split, f"which has {len(parts)} parts")
    return instruction


def _not_a_part(name, splits, split, reason):
    first = next(iter(splits))
    return checks.InputError(
        f"Expected one split of {name}, or one part of it that has images: {', '.join(splits)}. "
        f"Received: {split!r} ({reason}). Write for instance {first}[:10%] or "
        f"{first}[1000:2000]."
    )


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds the versions of a data set, or of its configurations, as TFDS does."""
    return any(any(folder.glob(f"{above}/dataset_info.json")) for above in ("*", "*/*"))


class TFDSImages:
    """The images of a TFDS split, decoded like files when they are accessed.

    Args:
        builder: a TFDS builder whose data have been prepared.
        instruction: `tfds.core.ReadInstruction` of a part of one split.
        image: name of the feature that holds the image.
        label: name of the feature that holds the label.

    A slice gives a list of uint8 arrays `(height, width, 3)`, each of its own size; a list of numbers
    gives `ChosenTFDSImages`, which are not read yet.
    """

    def __init__(self, builder, instruction, image, label="label"):
        (part,) = instruction.to_absolute(builder.info.splits)
        self.builder, self.split, self.image = builder, part.splitname, image
        self.label = label
        self.first = part.from_ or 0
        last = builder.info.splits[self.split].num_examples if part.to is None else part.to
        self.paths = [f"{self.split}/{i}" for i in range(self.first, last)]

    def __len__(self):
        return len(self.paths)

    def keys(self):
        """What identifies each image: its split and its number in it."""
        return self.paths

    def part(self, start, stop):
        """The images `start:stop`, not read yet."""
        import tensorflow_datasets as tfds

        bounds = {"from_": self.first + start, "to": self.first + stop, "unit": "abs"}
        part = tfds.core.ReadInstruction(self.split, **bounds)
        return TFDSImages(self.builder, part, self.image, self.label)

    def read(self, feature, start=0, stop=None):
        """The values of one feature of a part, images as they are encoded."""
        import tensorflow_datasets as tfds

        start, stop, _ = slice(start, stop).indices(len(self))
        bounds = {"from_": self.first + start, "to": self.first + stop, "unit": "abs"}
        decoders = {self.image: tfds.decode.SkipDecoding()} if feature == self.image else None
        only = tfds.decode.PartialDecoding({feature: True}, decoders=decoders)
        dataset = self.builder.as_dataset(
            split=tfds.core.ReadInstruction(self.split, **bounds),
            decoders=only,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),  # in the order on the disk
        )
        if feature != self.image:  # of one size each: a thousand at a time is faster
            rows = tfds.as_numpy(dataset.batch(1_000))
            return [value for row in rows for value in row[feature]]
        return [row[feature] for row in tfds.as_numpy(dataset)]

    def __getitem__(self, chosen):
        if not isinstance(chosen, slice):
            return ChosenTFDSImages(self, chosen)
        start, stop, _ = chosen.indices(len(self))
        encoded = self.read(self.image, start, stop)
        return [
            decode_image(io.BytesIO(e), name) for e, name in zip(encoded, self.paths[start:stop])
        ]


class ChosenTFDSImages:
    """Some of the images of a TFDS split, decoded when they are accessed.

    Args:
        images: `TFDSImages`.
        numbers: list of ints, which of them. All between the first and the last of a slice are read, so
            that ascending numbers are best.
    """

    def __init__(self, images, numbers):
        self.images, self.numbers = images, [int(i) for i in numbers]

    def __len__(self):
        return len(self.numbers)

    def keys(self):
        """What identifies each image: its split and its number in it."""
        return [self.images.paths[i] for i in self.numbers]

    def part(self, start, stop):
        """The images `start:stop`, not read yet."""
        return ChosenTFDSImages(self.images, self.numbers[start:stop])

    def __getitem__(self, chosen):
        if not isinstance(chosen, slice):
            return ChosenTFDSImages(self.images, [self.numbers[i] for i in chosen])
        numbers = self.numbers[chosen]
        if not numbers:
            return []
        first = min(numbers)
        encoded = self.images.read(self.images.image, first, max(numbers) + 1)
        paths = self.images.paths
        return [decode_image(io.BytesIO(encoded[i - first]), paths[i]) for i in numbers]


def load_tfds(
    name: str | Path, data_dir: str | Path | None = None, split: str | list[str] = "train"
) -> Examples:
    """A data set of TFDS, prepared before, as `Examples` whose images are `TFDSImages`.

    Args:
        name: string, such as "beans" or "cifar10:train[:5%]".
        data_dir: TFDS's data directory; None means its own default.
        split: string or list of strings, the split where the name has none: the first one that
            the data set has.

    Raises:
        InputError: if there is no such data set or split, it has not been prepared, or it
            has no images with labels; and as `parse_split`.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.data.load_tfds("beans", "tfds/", ["validation", "test"])  # doctest: +SKIP
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    name, _, given = str(name).partition(":")
    place = checks.named("data_dir", data_dir) or os.environ.get(
        "TFDS_DATA_DIR", "~/tensorflow_datasets"
    )
    try:
        builder = tfds.builder(name, data_dir=data_dir and str(checks.expand(data_dir)))
    except Exception as error:  # whatever a name may lead to
        raise checks.InputError(
            f"Expected a folder, a CSV file or a data set of TFDS. Found no folder or file at "
            f"{name}, and TFDS knows none of this name ({checks.first_line(error, 100)}). "
            "Check the path."
        ) from error
    splits = dict(builder.info.splits)
    if not splits:
        raise checks.InputError(
            f"Expected {name} as TFDS prepares it, in {place}. Found none, nor a folder of this "
            'name. Prepare it: python -c "import tensorflow_datasets as t; '
            f"t.builder('{name}', data_dir='DIR').download_and_prepare()\", and pass "
            "--data-dir DIR."
        )
    wanted = [given] if given else [split] if isinstance(split, str) else split
    chosen = next((w for w in wanted if re.split(r"\W", w)[0] in splits), None)
    if chosen is None:
        raise checks.InputError(
            f"Expected a split of {name}: {', '.join(splits)}. Received: {' or '.join(wanted)}. "
            f"Write for instance {name}:{next(iter(splits))}."
        )
    features = builder.info.features
    images = [k for k, v in features.items() if isinstance(v, tfds.features.Image)]
    labels = [k for k, v in features.items() if isinstance(v, tfds.features.ClassLabel)]
    if not images or not labels:
        raise checks.InputError(
            f"Expected images with a class each in {name}. It has the features "
            f"{', '.join(features)}. Choose another data set."
        )
    image, label = images[0], "label" if "label" in labels else labels[0]
    records = TFDSImages(builder, parse_split(name, builder, chosen), image, label)
    numbers, names = np.array(records.read(label), "int64"), tuple(features[label].names)
    has_ids = "id" in features and isinstance(features["id"], tfds.features.Text)
    ids = records.read("id") if has_ids else ()
    order = read_order(ids, splits[records.split].num_examples, names)
    return Examples(records, numbers, names, chosen, order=order)
