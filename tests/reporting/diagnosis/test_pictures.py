import io

import numpy as np
import pytest
from PIL import Image

from keras_unrolled import data
from keras_unrolled.reporting.diagnosis import hash_picture, pictures


def count_bits(first, second):
    return (first ^ second).bit_count()


def test_hash_has_a_bit_where_a_pixel_is_brighter_than_its_left_neighbor(rng):
    grey = rng.integers(0, 256, (8, 9)).astype("uint8")
    bits = "".join("01"[int(grey[i, j + 1] > grey[i, j])] for i in range(8) for j in range(8))
    assert hash_picture(np.repeat(grey[..., None], 3, -1)) == int(bits, 2)
    assert hash_picture(grey[..., None]) == int(bits, 2)
    assert hash_picture(grey[..., None].astype("float32")) == int(bits, 2)


def test_hash_agrees_with_imagehash(rng):
    imagehash = pytest.importorskip("imagehash")
    image = rng.integers(0, 256, (40, 50, 3)).astype("uint8")
    assert hash_picture(image) == int(str(imagehash.dhash(Image.fromarray(image))), 16)


def test_hash_changes_little_with_size_and_compression_and_much_with_the_picture():
    images = data.load_sample().images[:20]
    hashes = [hash_picture(image) for image in images]
    content = io.BytesIO()
    Image.fromarray(images[0]).resize((48, 48)).save(content, "JPEG", quality=80)
    again = np.asarray(Image.open(content))
    assert count_bits(hash_picture(again), hashes[0]) <= 6
    assert min(count_bits(h, hashes[0]) for h in hashes[1:]) > 10


def test_pictures_are_read_by_number_from_arrays_and_files(tmp_path, rng):
    images = rng.integers(0, 256, (5, 6, 7, 3)).astype("uint8")
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, image in zip(paths, images):
        Image.fromarray(image).save(path)
    files = data.ImageFiles(paths, tmp_path)
    for source in (images, files):
        found = pictures.read_pictures(source, [3, 0, 3])
        assert [np.array_equal(f, images[i]) for f, i in zip(found, [3, 0, 3])] == [True] * 3
    assert pictures.name_pictures(images) == ["0", "1", "2", "3", "4"]
    assert pictures.name_pictures(files) == [f"{i}.png" for i in range(5)]


def test_large_picture_is_shrunk_and_a_small_one_kept(rng):
    small = rng.integers(0, 256, (6, 7, 3)).astype("uint8")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(pictures.to_png(small)))), small)
    large = np.zeros((400, 200, 1), "uint8")
    assert Image.open(io.BytesIO(pictures.to_png(large))).size == (80, 160)
