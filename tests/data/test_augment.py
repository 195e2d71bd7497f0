"""Augmentation is a function of its seed, and mixes what it says that it mixes."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.data import augment


def seed(i):
    return tf.constant([7, i], tf.int64)


@pytest.fixture
def batch(rng):
    images = rng.integers(0, 256, (8, 20, 16, 3)).astype("uint8")
    return images, np.eye(8, dtype="float32")


def test_mixup_blends_each_image_and_label_with_its_neighbour_in_one_proportion(batch):
    images, labels = batch
    other = np.arange(8) ^ 1
    found = []
    for i in range(40):
        x, y = (t.numpy() for t in augment.mix_pairs(images, labels, seed(i), 0.4, 0.0))
        kept = y[0, 0]
        np.testing.assert_allclose(y, kept * labels + (1 - kept) * labels[other], atol=1e-6)
        expected = kept * images.astype(float) + (1 - kept) * images[other]
        np.testing.assert_allclose(x, expected, atol=0.501)
        found.append(kept)
    # Beta(0.4, 0.4) has its mean at 1/2 and a deviation of 0.37.
    assert 0.3 < np.mean(found) < 0.7
    assert 0.25 < np.std(found) < 0.45


def test_cutmix_counts_the_pixels_that_it_takes_from_the_neighbour(batch):
    images, labels = batch
    other = np.arange(8) ^ 1
    shares = []
    for i in range(40):
        x, y = (t.numpy() for t in augment.mix_pairs(images, labels, seed(i), 0.0, 1.0))
        taken = (x != images).any((0, 3))
        rows, columns = np.flatnonzero(taken.any(1)), np.flatnonzero(taken.any(0))
        if rows.size:  # a box, whole
            assert taken[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        expected = np.where(taken[None, :, :, None], images[other], images)
        np.testing.assert_array_equal(x, expected)
        share = taken.mean()
        np.testing.assert_allclose(y, (1 - share) * labels + share * labels[other], atol=1e-6)
        shares.append(share)
    assert min(shares) < 0.1
    assert max(shares) > 0.5


def test_with_both_each_is_used_half_of_the_time(batch):
    images, labels = batch
    other = np.arange(8) ^ 1
    cut = 0
    for i in range(60):
        x, _ = augment.mix_pairs(images, labels, seed(i), 0.4, 1.0)
        from_one = (x.numpy() == images) | (x.numpy() == images[other])
        cut += from_one.all()
    assert 15 < cut < 45


@pytest.mark.slow
def test_same_seed_augments_alike_and_another_one_does_not(rng):
    operations = augment.make_operations(7)
    image = tf.constant(rng.integers(0, 256, (24, 24, 3)).astype("uint8"))
    one = augment.rand_augment(image, seed(1), operations)
    assert one.dtype == tf.uint8
    assert one.shape == (24, 24, 3)
    run = tf.function(lambda s: augment.rand_augment(image, s, operations))
    np.testing.assert_array_equal(one, run(seed(1)))
    found = {run(seed(i)).numpy().tobytes() for i in range(30)}
    assert len(found) > 20


@pytest.mark.slow
def test_operations_grow_with_the_magnitude(rng):
    # A smooth image: what is far from it has been changed much.
    image = tf.constant(
        np.stack(np.broadcast_arrays(np.arange(32)[:, None] * 8, np.arange(32) * 8, 90), -1)
    )
    image = tf.cast(image, tf.uint8)

    def change(magnitude):
        operations = augment.make_operations(magnitude)
        run = tf.function(lambda s: augment.rand_augment(image, s, operations))
        found = [run(seed(i)).numpy().astype(float) for i in range(60)]
        return np.mean([np.abs(x - image.numpy()).mean() for x in found])

    assert 2 < change(1) < change(5) < change(10) < 90
