"""Sources of encoded images on a disk or bucket, which are read by number.

A source knows how many images it has and reads the image of any number, so that a stream can be
a function of seed, epoch and step alone, and each worker reads only its own share.
"""

import io
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.data.crops import decode
from keras_unrolled.data.decoding import FORMATS, MOST_PIXELS, decode_image, read_orientation
from keras_unrolled.data.examples import align
from keras_unrolled.data.folders import load_folder
from keras_unrolled.progress import progress


class FileSource:
    """Image files with labels.

    Args:
        paths: list of paths.
        labels: int array `(n,)`.
        names: sequence of the classes' names.
        any_format: bool, whether to decode with Pillow what TensorFlow decodes otherwise or not
            at all: turned photographs, CMYK, TIFF and other formats.
    """

    def __init__(self, paths, labels, names, *, any_format=False):
        self.paths, self.names = list(paths), tuple(names)
        self.labels = np.asarray(labels, "int32")
        self.any_format = any_format
        self._tables = (
            tf.constant([os.fsencode(path) for path in self.paths]),
            tf.constant(self.labels),
        )

    def __len__(self):
        return len(self.labels)

    def name(self, i):
        """What to call the image with a number in a message."""
        return str(self.paths[i])

    def read(self, i):
        """The encoded image and the label with a number, in a graph."""
        paths, labels = self._tables
        path = tf.gather(paths, i)
        if self.any_format:
            encoded = tf.numpy_function(_encode_any, [path], tf.string, stateful=False)
            encoded.set_shape(())
        else:
            encoded = tf.io.read_file(path)
        return encoded, tf.gather(labels, i)


def _encode_any(path):
    """An image file as bytes that TensorFlow decodes to the pixels that `read_image` gives."""
    from PIL import Image

    path = os.fsdecode(path if isinstance(path, bytes) else path.item())
    content = Path(path).read_bytes()
    with Image.open(io.BytesIO(content), formats=list(FORMATS)) as image:
        if (
            image.format == "JPEG"
            and image.mode in ("RGB", "L")
            and image.width * image.height <= MOST_PIXELS
            and read_orientation(image) == 1
        ):
            return content
    return tf.io.encode_png(decode_image(io.BytesIO(content), path), compression=0).numpy()


def read_class_folders(folder, names=None, *, smoke=False):
    """A `FileSource` of a folder with one folder of images for each class.

    Args:
        folder: path.
        names: optional list of all classes' names, in order; the folder may lack some. WordNet
            ids are understood where the classes are those of ImageNet-1k.
        smoke: bool, whether classes may be missing.

    Raises:
        InputError: if there are no images, or a class is missing or unknown.
    """
    examples = load_folder(folder)
    present = examples.names
    examples = align(examples, names)
    if names is not None and len(present) < len(names) and not smoke:
        missing = sorted(set(range(len(names))) - set(examples.labels.tolist()))
        raise checks.InputError(
            f"Expected {len(names):,} classes in {folder}. Found {len(present):,}. Missing: "
            f"{', '.join(examples.names[i] for i in missing[:5])} and others. Complete the data."
        )
    return FileSource(examples.images.paths, examples.labels, examples.names)


class RecordSource:
    """Shards of TFRecord or ArrayRecord, as TFDS writes them.

    Args:
        paths: list of paths of the shards, on a disk or, for TFRecord, on a bucket.
        names: list of the classes' names.
        image: name of the feature with the encoded image.
        label: name of the feature with the label.

    Raises:
        InputError: if there is no shard, or one is damaged or of another kind.
    """

    def __init__(self, paths, names, *, image="image", label="label"):
        self.paths = [str(path) for path in paths]
        self.names, self.features = tuple(names), (image, label)
        if not self.paths:
            raise checks.InputError(
                "Expected shards of TFRecord or ArrayRecord. Found none. Check --data-dir."
            )
        if ".array_record" in self.paths[0]:
            from array_record.python import array_record_data_source

            self._records = array_record_data_source.ArrayRecordDataSource(self.paths)
            self._count = len(self._records)
            self._fetch = lambda i: self._records[int(i)]
        else:
            # No index says where each record begins: every head is read, which waits for the disk.
            with ThreadPoolExecutor(16) as pool:
                parts = pool.map(_index_tfrecord, range(len(self.paths)), self.paths)
                bar = progress(
                    parts,
                    total=len(self.paths),
                    description="indexing shards",
                    unit="shards",
                    hidden=len(self.paths) < 16,
                )
                self._index = np.concatenate(list(bar))
            self._count = len(self._index)
            self._open = {}
            self._fetch = self._fetch_tfrecord

    def __len__(self):
        return self._count

    def name(self, i):
        """What to call the image with a number in a message."""
        return f"record {i:,} of {len(self.paths)} shards, the first of which is {self.paths[0]}"

    def encoded(self, i):
        """The encoded image with a number, bytes."""
        example = tf.train.Example.FromString(self._fetch(i))
        return example.features.feature[self.features[0]].bytes_list.value[0]

    def _fetch_tfrecord(self, i):
        shard, offset, length = self._index[i]
        path = self.paths[shard]
        if "://" in path:
            with tf.io.gfile.GFile(path, "rb") as file:
                file.seek(int(offset))
                return file.read(int(length))
        if shard not in self._open:
            self._open[shard] = os.open(path, os.O_RDONLY)
        return os.pread(self._open[shard], int(length), int(offset))

    def read(self, i):
        """The encoded image and the label with a number, in a graph."""
        record = tf.numpy_function(self._fetch, [i], tf.string, stateful=False)
        image, label = self.features
        features = tf.io.parse_single_example(
            record,
            {
                image: tf.io.FixedLenFeature((), tf.string),
                label: tf.io.FixedLenFeature((), tf.int64),
            },
        )
        return features[image], tf.cast(features[label], tf.int32)


def _index_tfrecord(shard, path):
    """Shard, offset and length of every record: a record's length precedes it."""
    rows, offset = [], 0
    size = tf.io.gfile.stat(path).length
    with tf.io.gfile.GFile(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(12)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            if offset + 16 + length > size:
                raise checks.InputError(
                    f"Expected a complete TFRecord file in {path}. It is damaged at byte "
                    f"{offset:,}. Prepare or copy it again."
                )
            rows.append((shard, offset + 12, length))
            offset += 16 + length
    return np.array(rows, "int64").reshape(-1, 3)


class Subset:
    """Some images of a source, by their numbers, such as a part that is held out.

    Args:
        source: a source.
        numbers: int array.
    """

    def __init__(self, source, numbers):
        self.source, self.names = source, source.names
        self.numbers = np.asarray(numbers, "int64")
        self._table = tf.constant(self.numbers)

    def __len__(self):
        return len(self.numbers)

    def name(self, i):
        """What to call the image with a number in a message."""
        return self.source.name(self.numbers[i])

    def read(self, i):
        """The encoded image and the label with a number, in a graph."""
        return self.source.read(tf.gather(self._table, i))


def hold_out(source, count, seed=0):
    """Divides a source into all but `count` images drawn at random, and these."""
    order = np.random.default_rng(seed).permutation(len(source))
    return Subset(source, np.sort(order[count:])), Subset(source, np.sort(order[:count]))


def report_broken_images(source, error):
    """Names the images of a source that do not decode, once one of them has ended a run.

    Args:
        source: a source.
        error: the exception of TensorFlow.

    Raises:
        InputError: with the number of such images and the names of the first ones.
        Exception: `error` itself, if every image decodes.
    """
    broken = []
    for i in progress(range(len(source)), description="checking images", unit="images"):
        try:
            decode(source.read(tf.constant(i, tf.int64))[0])
        except tf.errors.OpError:
            broken.append(source.name(i))
    if not broken:
        raise error
    raise checks.InputError(
        f"Expected images that decode. {len(broken):,} of {len(source):,} do not: "
        f"{'; '.join(broken[:10])}. Fix or remove them; the last checkpoint is intact."
    ) from error
