import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.data.streams import PAD, make_stream, pad_crop_flip


def examples(n=40):
    images = np.arange(n, dtype="uint8").reshape(n, 1, 1, 1) * np.ones((1, 8, 8, 3), "uint8")
    return images, np.arange(n)


def stream(batch_size=16, **options):
    images, labels = examples()
    options = {"seed": 3, "augment": False, "preprocess": lambda x: x, "total_steps": 6, **options}
    return make_stream(images, labels, batch_size=batch_size, **options)


def test_an_epoch_shows_whole_batches_of_different_examples():
    batches = [(x.numpy(), y.numpy()) for x, y in stream()(0)]
    assert len(batches) == 6
    for x, y in batches:
        np.testing.assert_array_equal(x[:, 0, 0, 0], y)  # images keep their labels
    epochs = [np.concatenate([y for _, y in batches[i : i + 2]]) for i in (0, 2, 4)]
    for labels in epochs:
        assert len(set(labels)) == 32  # 40 examples, 2 batches of 16
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_stream_that_starts_later_shows_what_an_unbroken_one_would():
    whole = [(x.numpy(), y.numpy()) for x, y in stream(augment=True)(0)]
    rest = [(x.numpy(), y.numpy()) for x, y in stream(augment=True)(4)]
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
