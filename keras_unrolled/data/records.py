"""TFRecord files of TFDS read without TensorFlow."""

import io
import re
import struct
from pathlib import Path

import numpy as np

from keras_unrolled import checks
from keras_unrolled.data.decoding import decode_image
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.order import read_order


def load_small_images(folder: str | Path, split: str) -> Examples:
    """Images of one size that TFDS has prepared as TFRecord, such as CIFAR-10.

    Args:
        folder: path of one version of a data set, such as `DIR/cifar10/3.0.2`.
        split: the name of a split or a part of it in whole numbers, such as "train[45000:]".

    Returns:
        `Examples` in memory.

    Raises:
        InputError: for another form of split or one without images, no such files, or a damaged
            one.
    """
    folder = Path(folder)
    parts = re.fullmatch(r"(\w+)(?:\[(-?\d*):(-?\d*)\])?", split)
    if not parts:
        raise checks.InputError(
            "Expected the name of a split, or a part of it in whole numbers, such as "
            f"train[45000:]. Received: {split!r}. Write it so, or install TensorFlow for percentages."
        )
    shards = sorted(folder.glob(f"*-{parts[1]}.tfrecord-*"))
    if not shards:
        raise checks.InputError(
            f"Expected shards of the split {parts[1]!r} in {folder}, as TFDS writes TFRecord. "
            "Found none. Check the folder and the split."
        )
    start, stop = (int(bound) if bound else None for bound in parts.groups()[1:])
    records = [record for shard in shards for record in read_records(shard)]
    beyond = [bound for bound in (start, stop) if abs(bound or 0) > len(records)]
    if beyond or not records[start:stop]:
        why = f"the split has {len(records):,} images" if beyond else "which has no images"
        raise checks.InputError(
            f"Expected a split, or a part of it that has images. Received: {split!r} ({why}). Write "
            f"for instance {parts[1]}[:1000]."
        )
    total, records = len(records), records[start:stop]
    try:
        features = [_read_example(record) for record in records]
        labels = np.array([f["label"] for f in features], "int64")
        encoded = [f["image"] for f in features]
    except (IndexError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise checks.InputError(
            f"Expected records with an image and a label in {shards[0]}. Found others, or damaged "
            "ones. Prepare or copy the data set again."
        ) from error
    images = [decode_image(io.BytesIO(e), f"{folder.parent.name}/{split}") for e in encoded]
    names = tuple((folder / "label.labels.txt").read_text(encoding="utf-8").splitlines())
    order = read_order([f.get("id", b"") for f in features], total, names)
    return Examples(np.stack(images), labels, names, split, order=order)


def find_version(data_dir: str | Path, name: str) -> Path | None:
    """The folder of a data set's newest version in TFDS's data directory, or None."""
    versions = [
        path
        for path in checks.expand(data_dir).glob(f"{name}/*")
        if (path / "features.json").exists()
    ]
    return max(
        versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)], default=None
    )


def read_records(path: str | Path) -> list[bytes]:
    """The records of a TFRecord file.

    A record is preceded by its length in 8 bytes and 4 bytes of a checksum and followed by 4 more;
    checksums are not looked at, since the files are on a disk of the user's.

    Raises:
        InputError: if the file ends in the middle of a record.
    """
    data, at, records = Path(path).read_bytes(), 0, []
    while at < len(data):
        length = struct.unpack_from("<Q", data, at)[0] if at + 8 <= len(data) else len(data)
        if at + 16 + length > len(data):
            raise checks.InputError(
                f"Expected a complete TFRecord file in {path}. It is damaged at byte {at:,}. "
                "Prepare or copy it again."
            )
        records.append(data[at + 12 : at + 12 + length])
        at += 16 + length
    return records


def _read_example(record):
    """The features of a `tf.train.Example`: bytes or an int of each name."""
    features = {}
    for _, entry in _fields(next(value for _, value in _fields(record))):
        (_, name), (_, feature) = _fields(entry)
        for kind, values in _fields(feature):  # 1 is a list of bytes, 3 a list of whole numbers
            value = next(value for _, value in _fields(values))
            if kind == 3 and isinstance(value, bytes):  # packed
                value = _varint(value, 0)[0]
            features[name.decode()] = value
    return features


def _fields(message):
    """The numbers and values of a protocol buffer's fields, of the two kinds that occur here."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        yield tag >> 3, value


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
