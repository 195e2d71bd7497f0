"""Encoded images on a disk or bucket, read by number, and what training makes of them.

A source knows how many images it has and reads the one of any number, so that a stream can be
a function of seed, epoch and step alone: a run that resumes sees the very images that an
unbroken one would, and each worker reads its own share.
"""

import os
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_unrolled import checks, data, models
from training.data import augment

# Szegedy et al. 2015, section 6: what part of an image a crop covers, and its proportions.
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


class FolderSource:
    """A folder with one folder of images for each class.

    Args:
        folder: path.
        names: optional list of all classes' names, in order; the folder may lack some. WordNet
            ids are understood where the classes are those of ImageNet-1k.
        smoke: bool, whether classes may be missing.

    Raises:
        InputError: if there are no images, or a class is missing or unknown.
    """

    def __init__(self, folder, names=None, *, smoke=False):
        examples = data.load_folder(folder)
        found = examples.names
        examples = data.align(examples, names)
        if names is not None and len(found) < len(names) and not smoke:
            missing = sorted(set(range(len(names))) - set(examples.labels.tolist()))
            raise checks.InputError(
                f"Expected {len(names):,} classes in {folder}. Found {len(found):,}. Missing: "
                f"{', '.join(examples.names[i] for i in missing[:5])} and others. Complete the data."
            )
        self.names = examples.names
        self.labels = examples.labels.astype("int32")
        self.paths = examples.images.paths
        self._tables = tf.constant([str(path) for path in self.paths]), tf.constant(self.labels)

    def __len__(self):
        return len(self.labels)

    def name(self, i):
        """What to call the image of one number in a message."""
        return str(self.paths[i])

    def read(self, i):
        """The encoded image and the label of one number, in a graph."""
        paths, labels = self._tables
        return tf.io.read_file(tf.gather(paths, i)), tf.gather(labels, i)


class RecordSource:
    """Shards of TFRecord or ArrayRecord, as TFDS writes them: features "image" and "label".

    Args:
        paths: list of paths of the shards, on a disk or, for TFRecord, on a bucket.
        names: list of the classes' names.

    Raises:
        InputError: if there is no shard, or one is damaged or of another kind.
    """

    def __init__(self, paths, names):
        self.paths = [str(path) for path in paths]
        self.names = tuple(names)
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
            # Where each record begins stands nowhere: every head is read, which waits for the disk.
            with ThreadPoolExecutor(16) as pool:
                parts = pool.map(_index_tfrecord, range(len(self.paths)), self.paths)
                bar = tqdm(
                    parts,
                    total=len(self.paths),
                    desc="indexing shards",
                    file=sys.stderr,
                    disable=len(self.paths) < 16,
                )
                self._index = np.concatenate(list(bar))
            self._count = len(self._index)
            self._open = {}
            self._fetch = self._fetch_tfrecord

    def __len__(self):
        return self._count

    def name(self, i):
        """What to call the image of one number in a message."""
        return f"record {i:,} of {len(self.paths)} shards, the first of them {self.paths[0]}"

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
        """The encoded image and the label of one number, in a graph."""
        record = tf.numpy_function(self._fetch, [i], tf.string, stateful=False)
        features = tf.io.parse_single_example(
            record,
            {
                "image": tf.io.FixedLenFeature((), tf.string),
                "label": tf.io.FixedLenFeature((), tf.int64),
            },
        )
        return features["image"], tf.cast(features["label"], tf.int32)


def _index_tfrecord(shard, path):
    """Shard, offset and length of every record: a record's length stands before it."""
    rows, offset = [], 0
    size = tf.io.gfile.stat(path).length
    with tf.io.gfile.GFile(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(12)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            if offset + 16 + length > size:
                raise checks.InputError(
                    f"Expected a whole TFRecord file in {path}. It is damaged at byte {offset:,}. "
                    "Prepare or copy it anew."
                )
            rows.append((shard, offset + 12, length))
            offset += 16 + length
    return np.array(rows, "int64").reshape(-1, 3)


def open_source(data_dir, split, names, *, smoke=False):
    """Finds ImageNet in a folder, however it was prepared.

    Args:
        data_dir: path of TFDS's data directory with `imagenet2012/`; of a folder with shards
            `*SPLIT*.tfrecord*` or `*SPLIT*.array_record*`; or of one with `SPLIT/` (or `val/`)
            that has a folder for each class. With `smoke` the class folders may lie in it.
        split: "train" or "validation".
        names: list of the classes' names.
        smoke: bool, whether classes may be missing.

    Returns:
        A `FolderSource` or `RecordSource`.

    Raises:
        InputError: if there is nothing of these, with how to prepare it.
    """
    root = str(data_dir)
    if tf.io.gfile.isdir(os.path.join(root, "imagenet2012")):
        import tensorflow_datasets as tfds

        builder = tfds.builder("imagenet2012", data_dir=root)
        if split in builder.info.splits:
            return RecordSource(builder.info.splits[split].filepaths, names)
    shards = sorted(
        path
        for kind in ("tfrecord", "array_record")
        for path in tf.io.gfile.glob(os.path.join(root, f"*{split}*{kind}*"))
    )
    if shards:
        return RecordSource(shards, names)
    folders = [split, *(["val"] if split == "validation" else [])]
    for folder in [*(Path(root) / name for name in folders), *([Path(root)] if smoke else [])]:
        if folder.is_dir() and any(path.is_dir() for path in folder.iterdir()):
            return FolderSource(folder, names, smoke=smoke)
    raise checks.InputError(
        f"Expected ImageNet's {split} split in {root}: imagenet2012/ as TFDS prepares it, shards "
        f"*{split}*.tfrecord* or *.array_record*, or {split}/ with a folder for each class. Found "
        "none of them. See docs/training.md for how to prepare it from ILSVRC2012_img_train.tar."
    )


class Subset:
    """Some images of a source, by their numbers: the part of train that is held out, say.

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
        """What to call the image of one number in a message."""
        return self.source.name(self.numbers[i])

    def read(self, i):
        """The encoded image and the label of one number, in a graph."""
        return self.source.read(tf.gather(self._table, i))


def hold_out(source, count, seed=0):
    """Divides a source: all but `count` images drawn at random, and these ("minival")."""
    order = np.random.default_rng(seed).permutation(len(source))
    return Subset(source, np.sort(order[count:])), Subset(source, np.sort(order[:count]))


def decode(encoded):
    """A whole image as uint8 `(height, width, 3)`; greyscale and CMYK are converted."""
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, try_recover_truncated=True),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def refuse_broken(source, error):
    """Says which images of a source do not decode, once one has ended a run.

    Args:
        source: a source.
        error: what TensorFlow said of it.

    Raises:
        InputError: with the number of such images and the names of the first.
        Exception: `error` itself, where every image decodes.
    """
    broken = []
    for i in tqdm(range(len(source)), desc="looking for broken images", file=sys.stderr):
        try:
            decode(source.read(tf.constant(i, tf.int64))[0])
        except tf.errors.OpError:
            broken.append(source.name(i))
    if not broken:
        raise error
    raise checks.InputError(
        f"Expected images that decode. {len(broken):,} of {len(source):,} do not: "
        f"{'; '.join(broken[:10])}. Repair them or take them away; the last checkpoint stands."
    ) from error


def random_crop(encoded, seed, size, area=AREA):
    """A random part of an image, resized and flipped half of the time.

    Only that part of a JPEG is decoded.

    Args:
        encoded: string tensor.
        seed: int tensor of shape `(2,)`; the same seed gives the same crop.
        size: int, side of the result in pixels.
        area: smallest and largest part of the image.

    Returns:
        uint8 tensor `(size, size, 3)`.
    """

    def window(shape):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            tf.zeros((1, 0, 4)),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=ASPECT,
            area_range=area,
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], extent[:2]], 0)

    def crop_jpeg():
        box = window(tf.io.extract_jpeg_shape(encoded))
        return tf.io.decode_and_crop_jpeg(encoded, box, channels=3, try_recover_truncated=True)

    def crop_other():
        image = decode(encoded)
        top, left, height, width = tf.unstack(window(tf.shape(image)))
        return image[top : top + height, left : left + width]

    image = tf.cond(tf.io.is_jpeg(encoded), crop_jpeg, crop_other)
    image = tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (size, size))
    image = tf.cast(tf.round(image), tf.uint8)
    # Not [:, ::-1], which takes as long as a third of the decoding.
    flip = tf.random.stateless_uniform((), seed + tf.constant([1 << 20, 0], seed.dtype)) < 0.5
    return tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)


def make_stream(source, recipe, classes=None):
    """A function from a step to the dataset of training crops that starts there.

    Each epoch is a permutation of the images; what does not fill a batch is left out of it.
    Permutation, crops and all augmentation are functions of seed, epoch and step alone.

    Args:
        source: a source.
        recipe: a `Recipe`, of which batch_size, epochs, seed, sizes and augmentation count.
        classes: int, number of classes, for recipes that mix images.

    Returns:
        `stream(step, parts=1, worker=0, workers=1)`, as `keras_unrolled.streams.make_stream`'s, of
        uint8 images. It ends where the size of the crops changes. Labels are int32 `(n,)`, or
        float `(n, classes)` where images are mixed.

    Raises:
        InputError: on a call, if images cannot be mixed in pairs.
    """
    count, batch_size, repeats = len(source), recipe.batch_size, recipe.repeats
    per_epoch = count // batch_size
    distinct = -(-batch_size // repeats)
    operations = augment.make_operations(recipe.rand_augment) if recipe.rand_augment else None
    mixes = bool(recipe.mixup or recipe.cutmix)

    def epoch_of(epoch, parts, worker, workers):
        order = tf.random.experimental.stateless_shuffle(tf.range(count), [recipe.seed, epoch])
        positions = tf.range(per_epoch * batch_size)
        # Steps, parts of a batch, workers' shares of a part, images of a share.
        shape = (per_epoch, parts, workers, batch_size // parts // workers)
        positions = tf.reshape(tf.reshape(positions, shape)[:, :, worker], [-1])
        number = epoch * (per_epoch * batch_size) + tf.cast(positions, tf.int64)
        # Copies of an image stand a part of the batch apart, so that it never meets itself.
        chosen = positions // batch_size * distinct + positions % batch_size % distinct
        return tf.data.Dataset.from_tensor_slices((tf.gather(order, chosen), number))

    def seed_of(kind, number):
        # Epochs' permutations have seeds from 0 on.
        return tf.stack([tf.constant(recipe.seed + (kind << 40), tf.int64), -1 - number])

    def load(i, number, size):
        encoded, label = source.read(i)
        area = (recipe.smallest_area, 1.0)
        crop = random_crop(encoded, seed_of(0, number), size, area)
        if operations is not None:
            crop = augment.rand_augment(crop, seed_of(1, number), operations)
        return crop, label

    def mix(step, images, labels):
        labels = tf.one_hot(labels, classes)
        return augment.mix_pairs(images, labels, seed_of(2, step), recipe.mixup, recipe.cutmix)

    def stream(start, parts=1, worker=0, workers=1):
        share = batch_size // parts // workers
        if mixes and share % 2:
            raise checks.InputError(
                "Expected an even number of images on each worker, which are mixed in pairs. "
                f"Received: batch_size={batch_size}, {parts} parts, {workers} workers. Use a "
                f"batch that divides by {2 * parts * workers}."
            )
        epoch, step = divmod(start, per_epoch)
        size = recipe.size_of(epoch)
        last = epoch
        while last < recipe.epochs and recipe.size_of(last) == size:
            last += 1
        numbers = tf.data.Dataset.range(epoch, last).flat_map(
            lambda e: epoch_of(e, parts, worker, workers)
        )
        batches = (
            numbers.skip(step * parts * share)
            .map(
                lambda i, number: load(i, number, size),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .batch(share, drop_remainder=True)
        )
        if mixes:
            batches = batches.enumerate(start * parts).map(
                lambda i, pair: mix(i // parts, *pair),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
        return batches.prefetch(tf.data.AUTOTUNE)

    return stream


def evaluate(model, source, *, batch_size=64, progress=None):
    """Accuracy of a classifier on every image of a source, each seen once.

    Images are prepared as the preset's preprocessor does it, not as training did.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        source: a source.
        batch_size: int.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        A dict: "n", "accuracy" and "top_5_accuracy".
    """
    import keras

    network = keras.Model(model.inputs, model.outputs)
    network.compile(jit_compile=model.jit_compile)

    def load(i):
        encoded, label = source.read(i)
        return model.preprocessor(decode(encoded)), label

    images = tf.data.Dataset.range(len(source)).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    top_1 = top_5 = 0
    with tqdm(
        total=len(source), desc=progress, unit=" images", file=sys.stderr, disable=progress is None
    ) as bar:
        for x, y in images.batch(batch_size).prefetch(2):
            order = np.argsort(-network.predict_on_batch(x.numpy()), axis=-1, kind="stable")[:, :5]
            right = order == y.numpy()[:, None]
            top_1, top_5 = top_1 + int(right[:, 0].sum()), top_5 + int(right.sum())
            bar.update(len(y))
    count = len(source)
    return {"n": count, "accuracy": top_1 / count, "top_5_accuracy": top_5 / count}


def imagenet_names():
    """The names that `open_source` wants for ImageNet-1k."""
    return models.imagenet_labels()
