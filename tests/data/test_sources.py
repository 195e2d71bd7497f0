"""Encoded images: read from any layout, cropped by seed, the same for every worker."""

import io
import itertools
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unrolled import InputError, data, evaluation, models
from keras_unrolled.data.crops import decode, random_crop
from keras_unrolled.data.sources import hold_out, read_class_folders
from keras_unrolled.data.streams import crop_batches
from keras_unrolled.engine import ImageRecipe
from training.data.imagenet import evaluate, open_source

NAMES = [f"class{i}" for i in range(6)]


def smooth(rng, size):
    noise = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype("uint8"))
    return noise.resize(size, Image.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty small JPEGs, five a class, in folders and as shards."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    rows = []
    for label, name in enumerate(NAMES):
        (root / "train" / name).mkdir(parents=True)
        for i in range(5):
            path = root / "train" / name / f"{i}.jpg"
            smooth(rng, (40 + 3 * i, 50 - 2 * i)).save(path, quality=95)
            rows.append((path.read_bytes(), label))
    return root, rows


def example(encoded, label):
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write_shards(place, rows, kind):
    place.mkdir()
    for shard, start in enumerate(range(0, len(rows), 11)):
        path = str(place / f"x-train.{kind}-{shard:05d}-of-00003")
        if kind == "tfrecord":
            writer = tf.io.TFRecordWriter(path)
        else:
            from array_record.python import array_record_module

            writer = array_record_module.ArrayRecordWriter(path, "group_size:1")
        for encoded, label in rows[start : start + 11]:
            writer.write(example(encoded, label))
        writer.close()
    return place


@pytest.mark.parametrize("layout", ["folder", "tfrecord", "array_record"])
def test_every_layout_gives_every_image_by_its_number(folder, tmp_path, layout):
    root, rows = folder
    place = root if layout == "folder" else write_shards(tmp_path / "shards", rows, layout)
    source = open_source(place, "train", NAMES)
    assert len(source) == 30
    for i in (29, 0, 17, 11, 10, 22):
        encoded, label = source.read(tf.constant(i, tf.int64))
        assert (encoded.numpy(), int(label)) == rows[i]


def test_tfds_prepares_imagenet_from_its_tar_files_and_it_is_read(photographs, tmp_path):
    import tensorflow_datasets as tfds

    manual = prepare_tars(photographs[:20], photographs[20:26], tmp_path)
    builder = tfds.builder("imagenet2012", data_dir=tmp_path / "data")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(manual))
    )
    source = open_source(tmp_path / "data", "train", models.imagenet_labels())
    assert len(source) == 20
    synsets = models.imagenet_labels(synsets=True)
    known = {path.read_bytes(): synsets.index(path.parent.name) for path in photographs[:20]}
    for i in range(20):
        encoded, label = source.read(tf.constant(i, tf.int64))
        assert known.pop(encoded.numpy()) == int(label)
    assert known == {}
    source = open_source(tmp_path / "data", "validation", NAMES)
    assert len(source) == 6
    # `keras-unrolled evaluate --dataset imagenet2012` sees the same.
    examples = data.load("imagenet2012", tmp_path / "data", ["validation"])
    examples = data.align(examples, models.imagenet_labels())
    rows = [source.read(tf.constant(i, tf.int64)) for i in range(6)]
    assert examples.labels.tolist() == [int(label) for _, label in rows]
    for image, (encoded, _) in zip(examples.images[:], rows, strict=True):
        np.testing.assert_array_equal(image, Image.open(io.BytesIO(encoded.numpy())).convert("RGB"))


def prepare_tars(train, validation, root):
    """ImageNet's two tar files, of a few photographs, as one downloads them."""
    manual = root / "manual"
    manual.mkdir()
    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as outer:
        for path in train:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                tar.add(path, arcname=path.name)
            info = tarfile.TarInfo(f"{path.parent.name}.tar")
            info.size = inner.tell()
            inner.seek(0)
            outer.addfile(info, inner)
    with tarfile.open(manual / "ILSVRC2012_img_val.tar", "w") as tar:
        for i, path in enumerate(validation, start=1):
            tar.add(path, arcname=f"ILSVRC2012_val_{i:08d}.JPEG")
    return manual


def test_missing_data_are_reported_with_how_to_prepare_them(tmp_path):
    with pytest.raises(InputError, match=r"docs/training\.md"):
        open_source(tmp_path, "train", NAMES)


def test_missing_class_is_named_except_in_a_smoke_run(folder):
    root, _ = folder
    names = [*NAMES, "class6", "class7"]
    with pytest.raises(InputError, match="Missing: class6, class7"):
        open_source(root, "train", names)
    assert len(open_source(root, "train", names, smoke=True)) == 30
    with pytest.raises(InputError, match="Found others in the data: class5"):
        open_source(root, "train", NAMES[:5])


def test_damaged_shard_is_named(folder, tmp_path):
    place = write_shards(tmp_path / "shards", folder[1], "tfrecord")
    shard = sorted(place.iterdir())[1]
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"00001-of-00003.*damaged at byte"):
        open_source(place, "train", NAMES)


def stream_of(source, **options):
    settings = {
        "batch_size": 8,
        "epochs": 3,
        "augmentation": "crop_flip",
        "seed": 5,
        "size": 24,
        **options,
    }
    return crop_batches(source, ImageRecipe(network={}, **settings), classes=len(NAMES))


def arrays(dataset):
    return [(x.numpy(), y.numpy()) for x, y in dataset]


@pytest.mark.slow
def test_stream_is_a_function_of_seed_and_step(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    whole = arrays(stream_of(source)(0))
    assert len(whole) == 9  # three batches an epoch; six images are left out of each
    assert whole[0][0].shape == (8, 24, 24, 3)
    assert whole[0][0].dtype == np.uint8
    for start in (0, 2, 3, 7):
        for (x, y), (again, labels) in zip(whole[start:], arrays(stream_of(source)(start))):
            np.testing.assert_array_equal(x, again)
            np.testing.assert_array_equal(y, labels)
    # Every epoch has its own order and its own crops; another seed has others.
    assert not np.array_equal(whole[0][1], whole[3][1]) or not np.array_equal(
        whole[0][0], whole[3][0]
    )
    assert not np.array_equal(whole[0][0], arrays(stream_of(source, seed=6)(0))[0][0])


@pytest.mark.slow
def test_workers_and_parts_together_see_each_batch_once(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    stream = stream_of(source)
    whole = arrays(stream(1))
    shares = [arrays(stream(1, parts=2, worker=w, workers=2)) for w in (0, 1)]
    for step, (x, y) in enumerate(whole):
        pieces = [shares[w][2 * step + part] for part in (0, 1) for w in (0, 1)]
        np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), x)
        np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), y)


STRONG = {"rand_augment": 7, "mixup": 0.2, "cutmix": 1.0, "repeats": 3}


@pytest.mark.slow
def test_augmented_and_mixed_images_do_not_depend_on_start_or_workers(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    stream = stream_of(source, **STRONG)
    whole = arrays(stream(0))
    assert whole[0][0].dtype == np.uint8
    assert whole[0][1].shape == (8, 6)
    for (x, y), (again, labels) in zip(whole[4:], arrays(stream(4))):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    shares = [arrays(stream(0, parts=2, worker=w, workers=2)) for w in (0, 1)]
    for step, (x, y) in enumerate(whole):
        pieces = [shares[w][2 * step + part] for part in (0, 1) for w in (0, 1)]
        np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), x)
        np.testing.assert_allclose(np.concatenate([p[1] for p in pieces]), y)
    with pytest.raises(InputError, match="mixed in pairs"):
        stream(0, parts=4, worker=0, workers=2)


def test_repeated_image_occurs_three_times_per_batch_with_different_crops(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    # Each image's own number as its label.
    source._tables = source._tables[0], tf.range(30)
    batches = arrays(stream_of(source, batch_size=9, repeats=3, epochs=1)(0))
    seen = []
    for crops, numbers in batches:
        counts = np.bincount(numbers)
        assert set(counts[counts > 0]) == {3}
        assert all(a != b for a, b in itertools.pairwise(numbers))  # no image beside itself
        for n in set(numbers):
            a, b, c = crops[numbers == n]
            assert not np.array_equal(a, b)
            assert not np.array_equal(b, c)
        seen += set(numbers)
    assert len(seen) == len(set(seen)) == 9


@pytest.mark.slow
def test_stream_ends_where_crops_grow(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    growing = {"epochs": 4, "size": 64, "start_size": 32, "ramp": (0.5, 0.5)}
    stream = stream_of(source, **growing)
    assert [len(arrays(stream(start))) for start in (0, 4, 6, 10)] == [6, 2, 6, 2]
    assert arrays(stream(5))[0][0].shape == (8, 32, 32, 3)
    assert arrays(stream(6))[0][0].shape == (8, 64, 64, 3)


def test_crop_of_the_whole_image_is_that_image_resized(rng):
    image = smooth(rng, (60, 60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    expected = np.asarray(image.resize((30, 30), Image.BOX), "float64")
    flips = 0
    for i in range(12):
        found = random_crop(buffer.getvalue(), tf.constant([3, i]), 30, (1.0, 1.0))
        plain = np.abs(found.numpy() - expected).mean()
        flipped = np.abs(found.numpy()[:, ::-1] - expected).mean()
        assert min(plain, flipped) < 3
        flips += flipped < plain
    assert 2 <= flips <= 10


@pytest.mark.slow
def test_crops_cover_from_a_small_part_to_all_of_an_image():
    # The red channel counts columns, the green one rows: a crop's extent can be read off.
    ramp = np.zeros((200, 200, 3), "uint8")
    ramp[..., 0], ramp[..., 1] = np.arange(200), np.arange(200)[:, None]
    encoded = tf.io.encode_png(ramp)
    areas = []
    for i in range(200):
        crop = random_crop(encoded, tf.constant([1, i]), 32).numpy().astype(float)
        width, height = np.ptp(crop[..., 0]) + 6, np.ptp(crop[..., 1]) + 6
        areas.append(width * height / 200**2)
    assert min(areas) < 0.15
    assert max(areas) > 0.85
    assert 0.4 < np.mean(areas) < 0.7  # uniform between 0.08 and 1, but for what does not fit


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "PNG", "cut"])
def test_unusual_images_are_decoded(rng, mode):
    image, buffer = smooth(rng, (70, 50)), io.BytesIO()
    if mode == "PNG":
        image.save(buffer, "PNG")
    else:
        image.convert("RGB" if mode == "cut" else mode).save(buffer, "JPEG", quality=95)
    encoded = buffer.getvalue()
    if mode == "cut":
        encoded = encoded[: len(encoded) * 3 // 4]
    whole = decode(tf.constant(encoded)).numpy()
    assert whole.shape == (50, 70, 3)
    reference = np.asarray(image.convert("L").convert("RGB") if mode == "L" else image, "float64")
    if mode in ("RGB", "L", "PNG"):
        assert np.abs(whole - reference).mean() < 6
    crop = random_crop(tf.constant(encoded), tf.constant([1, 2]), 16)
    assert crop.shape == (16, 16, 3)


@pytest.mark.slow
def test_evaluation_equals_that_of_the_preset(folder):
    root, rows = folder
    source = read_class_folders(root / "train", NAMES)
    model = models.resnet(8, dataset="cifar", num_classes=6, labels=NAMES)
    labels = np.array([label for _, label in rows])
    scores = evaluation.predict(
        model, [np.asarray(Image.open(io.BytesIO(encoded))) for encoded, _ in rows]
    )
    found = evaluate(model, source, batch_size=7)
    assert found["n"] == 30
    # Pillow and TensorFlow may decode a pixel differently: one image of thirty at most.
    assert abs(found["accuracy"] - evaluation.accuracy(scores, labels)) <= 1 / 30
    best = np.argsort(-scores, -1)[:, :5]
    assert abs(found["top_5_accuracy"] - np.mean((best == labels[:, None]).any(-1))) <= 1 / 30


def test_held_out_images_are_not_trained_on(folder):
    source = read_class_folders(folder[0] / "train", NAMES)
    train, held = hold_out(source, 7)
    assert (len(train), len(held)) == (23, 7)
    assert sorted([*train.numbers, *held.numbers]) == list(range(30))
    encoded, label = held.read(tf.constant(2, tf.int64))
    assert (encoded.numpy(), int(label)) == folder[1][held.numbers[2]]
