import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.data.augment import PAD, pad_crop_flip
from keras_unrolled.data.streams import image_batches


def examples(n=40):
    images = np.arange(n, dtype="uint8").reshape(n, 1, 1, 1) * np.ones((1, 8, 8, 3), "uint8")
    return images, np.arange(n)


def stream(batch_size=16, **options):
    images, labels = examples()
    options = {"seed": 3, "shift_flip": False, "total_steps": 6, **options}
    return image_batches(images, labels, batch_size=batch_size, **options)


def test_epoch_has_full_batches_of_different_examples():
    batches = [(x.numpy(), y.numpy()) for x, y in stream()(0)]
    assert len(batches) == 6
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0, 0, 0], y)  # images keep their labels
    epochs = [np.concatenate([y for _, y in batches[i : i + 2]]) for i in (0, 2, 4)]
    for labels in epochs:
        assert len(set(labels)) == 32  # 40 examples, 2 batches of 16
    assert not np.array_equal(epochs[0], epochs[1])


def test_stream_that_starts_later_continues_the_same_batches():
    whole = [(x.numpy(), y.numpy()) for x, y in stream(shift_flip=True)(0)]
    rest = [(x.numpy(), y.numpy()) for x, y in stream(shift_flip=True)(4)]
    assert len(rest) == 2
    for (x, y), (again_x, again_y) in zip(whole[4:], rest):
        np.testing.assert_array_equal(x, again_x)
        np.testing.assert_array_equal(y, again_y)


def test_another_seed_gives_another_order():
    first, other = (next(iter(stream(seed=s)(0)))[1].numpy() for s in (3, 4))
    assert not np.array_equal(first, other)


def test_crops_and_flips_are_those_of_a_padded_image(rng):
    images = rng.integers(0, 256, (200, 12, 12, 1)).astype("uint8")
    found = pad_crop_flip(tf.constant(images), tf.constant([1, 2])).numpy()
    seen = set()
    for image, crop in zip(images, found):
        padded = np.pad(image, [(PAD, PAD), (PAD, PAD), (0, 0)], "reflect")
        matches = [
            (top, left, flip)
            for top in range(2 * PAD + 1)
            for left in range(2 * PAD + 1)
            for flip in (False, True)
            if np.array_equal(
                crop, padded[top : top + 12, left : left + 12][:, :: -1 if flip else 1]
            )
        ]
        assert matches
        seen.update(matches[:1])
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(9))
    flips = [flip for _, _, flip in seen]
    assert 0.3 < np.mean(flips) < 0.7


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_augmentation_keeps_shape_and_dtype(dtype):
    images = tf.zeros((4, 32, 32, 3), dtype)
    found = pad_crop_flip(images, tf.constant([0, 0]))
    assert (found.shape, found.dtype) == (images.shape, images.dtype)


@pytest.mark.parametrize("options", [{}, {"rand_augment": 5.0}, {"mixup": 0.3, "classes": 40}])
def test_images_on_the_disk_give_the_batches_of_images_in_memory(tmp_path, options):
    images, labels = examples()
    np.save(tmp_path / "images.npy", images)
    settings = {"batch_size": 16, "total_steps": 4, "seed": 3, **options}
    expected = image_batches(images, labels, **settings)(1)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches = list(zip(expected, image_batches(mapped, labels, **settings)(1), strict=True))
    assert len(batches) == 3
    for (x, y), (mapped_x, mapped_y) in batches:
        np.testing.assert_array_equal(x, mapped_x)
        np.testing.assert_array_equal(y, mapped_y)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"rand_augment": 5.0}, {"mixup": 0.3, "classes": 40}])
def test_workers_share_augmented_batches(options):
    whole = [(x.numpy(), y.numpy()) for x, y in stream(shift_flip=True, **options)(2)]
    shares = [list(stream(shift_flip=True, **options)(2, worker=w, workers=2)) for w in range(2)]
    for step, (x, y) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([s[step][0] for s in shares]), x)
        np.testing.assert_allclose(np.concatenate([s[step][1] for s in shares]), y)
