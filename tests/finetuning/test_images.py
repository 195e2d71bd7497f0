"""Images of a fine-tuning: from the disk, and the same as the network's own preprocessing sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unrolled import data, models
from keras_unrolled.data.crops import decode, make_normalizer
from keras_unrolled.data.sources import FileSource
from keras_unrolled.finetuning import images


@pytest.fixture
def folder(tmp_path, rng):
    """Nine pictures of various formats and sizes in three classes."""
    for number, suffix in enumerate(("png", "jpg", "webp") * 3):
        place = tmp_path / "pictures" / "abc"[number // 3]
        place.mkdir(parents=True, exist_ok=True)
        low = Image.fromarray(rng.integers(0, 256, (5, 6, 3)).astype("uint8"))
        low.resize((60 + number, 50), Image.BICUBIC).save(place / f"{number}.{suffix}")
    return tmp_path / "pictures"


def test_cached_images_are_prepared_as_the_files_are(folder, tmp_path):
    model = models.resnet(8, dataset="cifar", num_classes=3)
    converter = model.preprocessor.image_converter
    examples = data.load_folder(folder)
    cached = images.cache_images(examples.images, converter, tmp_path / "run" / "images.npy")
    assert isinstance(cached, np.memmap)
    assert cached.shape == (9, 32, 32, 3)
    for row, image in zip(cached, examples.images[:]):
        np.testing.assert_array_equal(converter(row[None]), converter(image[None]))
    again = images.cache_images(None, converter, tmp_path / "run" / "images.npy")
    np.testing.assert_array_equal(again, cached)


def test_every_format_is_streamed_with_the_pixels_of_pillow(folder, tmp_path):
    path = folder / "a" / "turned.jpg"
    image = Image.open(folder / "a" / "1.jpg")
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(path, exif=exif, quality=95)
    Image.open(folder / "b" / "4.jpg").convert("CMYK").save(folder / "b" / "cmyk.jpg")
    examples = data.load_folder(folder)
    source = FileSource(examples.images.paths, examples.labels, examples.names, any_format=True)
    for i, expected in enumerate(examples.images[:]):
        encoded, label = source.read(tf.constant(i, tf.int64))
        assert int(label) == examples.labels[i]
        pixels = decode(encoded).numpy()
        assert pixels.shape == expected.shape
        # The two JPEG decoders may differ by a rounding.
        assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_large_images_are_cropped_and_small_ones_shifted(folder, tmp_path):
    examples, parts = data.load_folder(folder), ([0, 1, 3, 4, 6, 7], [2, 5, 8])
    small = models.resnet(8, dataset="cifar").preprocessor.image_converter
    large = models.make_preprocessor("imagenet").image_converter
    opened = images.open_images(examples, parts, small, "auto", tmp_path / "small")
    assert opened.augmentation == "shift_flip"
    assert opened.held[0:2].shape == (2, 32, 32, 3)
    opened = images.open_images(examples, parts, large, "auto", tmp_path / "large")
    assert opened.augmentation == "crop_flip"
    assert [image.shape[0] for image in opened.held[0:2]] == [50, 50]
    crop = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype("uint8")
    np.testing.assert_allclose(
        make_normalizer(large)(crop), large.scale * crop + large.offset, rtol=1e-5, atol=1e-5
    )


def test_fingerprint_changes_with_names_contents_classes_and_parts(folder):
    def take(parts=((0, 1), (2,))):
        return images.fingerprint(data.load_folder(folder), parts)

    first = take()
    assert take() == first
    path = folder / "a" / "0.png"
    path.rename(folder / "a" / "00.png")
    renamed = take()
    (folder / "a" / "00.png").rename(path)
    assert take() == first
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")  # of the same size
    exchanged = take()
    path.write_bytes(content)
    other_parts = take(((0, 2), (1,)))
    (folder / "a").rename(folder / "aa")
    assert len({first, renamed, exchanged, other_parts, take()}) == 5


def test_records_of_tfds_are_read_by_number(tfds_dir):
    examples = data.load("cifar10:train[100:140]", tfds_dir)
    numbers = [1, 5, 39]
    held = images._take(examples, numbers)
    expected = examples.images[:]
    for image, number in zip(held[0:3], numbers):
        np.testing.assert_array_equal(image, expected[number])
    source = images._make_source(examples)
    encoded, label = source.read(tf.constant(39, tf.int64))
    np.testing.assert_array_equal(decode(encoded), expected[39])
    assert int(label) == examples.labels[39]


def test_preset_without_a_size_keeps_the_size_of_its_images(tmp_path):
    converter = models.ImageConverter(image_size=None, scale=1 / 255)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3)).astype("uint8")
    cached = images.cache_images(pixels, converter, tmp_path / "images.npy")
    np.testing.assert_array_equal(cached, pixels)
    assert keras.ops.shape(converter(cached[:2])) == (2, 20, 24, 3)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:200] + bytes(255 - b for b in content[200:]),
        lambda content: content[:300],
        lambda content: b"",
    ],
    ids=["other pixels", "truncated", "empty"],
)
def test_damaged_copy_of_the_images_is_made_again(damage, tmp_path, rng):
    pixels = rng.integers(0, 256, (3, 8, 8, 3)).astype("uint8")
    converter = models.make_preprocessor("cifar").image_converter
    path = tmp_path / "images.npy"
    expected = np.array(images.cache_images(pixels, converter, path))
    again = images.cache_images(pixels[::-1], converter, path)  # it is whole: nothing is read
    np.testing.assert_array_equal(again, expected)
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(images.cache_images(pixels, converter, path), expected)
