import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.data.augment import crop_flip
from keras_unrolled.data.draws import crop_draws, epoch_order
from keras_unrolled.data.image_batches import PAD, ImageBatches


def examples(n=40):
    images = np.arange(n, dtype="uint8").reshape(n, 1, 1, 1) * np.ones((1, 8, 8, 3), "uint8")
    return images, np.arange(n)


def stream(batch_size=16, **options):
    images, labels = examples()
    options = {"seed": 3, "shift_flip": False, "total_steps": 6, **options}
    return ImageBatches(images, labels, batch_size=batch_size, **options)


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
    draws = crop_draws(1, 2, 200, PAD)
    found = crop_flip(tf.constant(images), tf.constant(draws), PAD).numpy()
    for image, crop, (top, left, flip) in zip(images, found, draws):
        padded = np.pad(image, [(PAD, PAD), (PAD, PAD), (0, 0)], "reflect")
        expected = padded[top : top + 12, left : left + 12][:, :: -1 if flip else 1]
        np.testing.assert_array_equal(crop, expected)


def test_draws_are_uniform_and_differ_from_step_to_step():
    draws = np.concatenate([crop_draws(3, step, 128, PAD) for step in range(200)])
    for column, sides in zip(draws.T, (9, 9, 2)):
        counts = np.bincount(column, minlength=sides)
        assert len(counts) == sides
        spread = np.sqrt(len(draws) * (1 / sides) * (1 - 1 / sides))
        assert np.abs(counts - len(draws) / sides).max() < 5 * spread
    assert not np.array_equal(crop_draws(3, 0, 128, PAD), crop_draws(3, 1, 128, PAD))
    assert not np.array_equal(crop_draws(3, 0, 128, PAD), crop_draws(4, 0, 128, PAD))


def test_draws_are_the_same_for_ever():
    """Records promise the same run for the same seed, so these numbers may not change."""
    assert epoch_order(7, 1, 8).tolist() == [3, 1, 6, 2, 5, 4, 0, 7]
    assert crop_draws(7, 1, 3, 4).tolist() == [[7, 5, 1], [2, 5, 0], [3, 7, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_augmentation_keeps_shape_and_dtype(dtype):
    images = tf.zeros((4, 32, 32, 3), dtype)
    found = crop_flip(images, tf.constant(crop_draws(0, 0, 4, PAD)), PAD)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"rand_augment": 5.0}, {"mixup": 0.3, "classes": 40}])
def test_images_on_the_disk_give_the_batches_of_images_in_memory(tmp_path, options):
    images, labels = examples()
    np.save(tmp_path / "images.npy", images)
    settings = {"batch_size": 16, "total_steps": 4, "seed": 3, **options}
    expected = ImageBatches(images, labels, **settings)(1)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches = list(zip(expected, ImageBatches(mapped, labels, **settings)(1), strict=True))
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
