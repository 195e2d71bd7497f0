"""TFRecord files of TFDS, read without TensorFlow, compared with TensorFlow and TFDS."""

import re

import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError
from keras_unrolled.data import load_cifar10, records

NAMES = ["cat", "hot dog"]


def write_split(folder, images, labels, shards=2):
    """A split "train" as TFDS writes it, `(n, 4, 4, 3)` PNGs in some shards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.json").write_text("{}")
    (folder / "label.labels.txt").write_text("\n".join(NAMES))
    for shard, numbers in enumerate(np.array_split(np.arange(len(images)), shards)):
        path = folder / f"cifar10-train.tfrecord-{shard:05d}-of-{shards:05d}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for i in numbers:
                feature = {
                    "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"train_%d" % i])),
                    "image": tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[tf.io.encode_png(images[i]).numpy()])
                    ),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[labels[i]])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
    return path


@pytest.fixture
def split(tmp_path, rng):
    images = rng.integers(0, 256, (7, 4, 4, 3)).astype("uint8")
    labels = np.array([0, 1, 1, 0, 1, 0, 1])
    path = write_split(tmp_path / "cifar10" / "3.0.2", images, labels)
    return tmp_path, images, labels, path


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("train", slice(None)),
        ("train[5:]", slice(5, None)),
        ("train[:-2]", slice(None, -2)),
        ("train[1:3]", slice(1, 3)),
    ],
    ids=["all", "end", "start", "middle"],
)
def test_images_labels_and_names_are_those_that_were_written(split, part, wanted):
    root, images, labels, _ = split
    found = records.load_small_images(root / "cifar10" / "3.0.2", part)
    np.testing.assert_array_equal(found.images, images[wanted])
    np.testing.assert_array_equal(found.labels, labels[wanted])
    assert (list(found.names), found.split) == (NAMES, part)


def test_newest_version_is_found(split):
    root, *_ = split
    for version in ("3.0.10", "2.9.9"):
        (root / "cifar10" / version).mkdir()
        (root / "cifar10" / version / "features.json").write_text("{}")
    assert records.find_version(root, "cifar10").name == "3.0.10"
    assert records.find_version(root, "mnist") is None


@pytest.mark.parametrize(
    "part", ["train[:10%]", "train+test", "train[:8]", "train[7:]", "train[:x]", "train[5:2]"]
)
def test_parts_that_cannot_be_read_are_rejected_with_an_example(split, part):
    with pytest.raises(InputError, match=rf"Received: {re.escape(repr(part))}") as error:
        records.load_small_images(split[0] / "cifar10" / "3.0.2", part)
    assert re.search(r"(such as|for instance) train\[", str(error.value))


def test_split_that_was_not_prepared_is_rejected(split):
    with pytest.raises(InputError, match="shards of the split 'validation'"):
        records.load_small_images(split[0] / "cifar10" / "3.0.2", "validation")


@pytest.mark.parametrize("kept", [5, 30, -1])
def test_file_that_ends_early_is_reported(split, kept):
    root, _, _, path = split
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="Expected a complete TFRecord file"):
        records.load_small_images(root / "cifar10" / "3.0.2", "train")


def test_records_of_another_kind_are_reported(split):
    root, _, _, path = split
    for content in (b"", b"\x0a\xff", b"\x0a\x02ab", bytes(range(256))):
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(content)
        with pytest.raises(InputError, match="Expected records with an image and a label"):
            records.load_small_images(root / "cifar10" / "3.0.2", "train")


@pytest.mark.slow
def test_cifar10_is_the_same_as_by_tfds(tfds_dir):
    found = records.load_small_images(tfds_dir / "cifar10" / "3.0.2", "test")
    expected = load_cifar10(tfds_dir, "test")
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.names == expected.names
