import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled.layers import BatchNormalization, Stack, make_normalization

SHAPE = (4, 5, 6, 8)


def pair(dtype="float32", **options):
    """Our layer and Keras's with the same random weights."""
    layers = [
        kind(momentum=0.9, epsilon=1e-5, dtype=dtype, **options)
        for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    rng = np.random.default_rng(3)
    for layer in layers:
        layer.build(SHAPE)
    for ours, theirs in zip(layers[0].weights, layers[1].weights, strict=True):
        value = rng.uniform(0.5, 2, ours.shape)
        ours.assign(value)
        theirs.assign(value)
    return layers


def run(layer, x, training):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    gradients = tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])
    return [np.asarray(tf.cast(t, "float64")) for t in (y, *gradients, *layer.weights)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=str)
def test_outputs_gradients_and_statistics_are_those_of_keras(training, options, rng):
    x = rng.normal(2, 3, SHAPE).astype("float32")
    ours, theirs = (run(layer, x, training) for layer in pair(**options))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-3)
    # Statistics move in training and only then.
    initial = pair(**options)[0].weights[-1]
    assert np.allclose(ours[-1], np.asarray(initial)) != training


def test_mixed_precision_keeps_statistics_in_float32(rng):
    x = rng.normal(100, 1, SHAPE).astype("float32")
    ours, _ = pair(dtype="mixed_bfloat16")
    for _ in range(200):
        y = ours(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    # bfloat16 rounds values near 100 to halves, which is what the layer sees.
    seen = np.asarray(tf.cast(tf.cast(x, "bfloat16"), "float64"))
    np.testing.assert_allclose(np.asarray(ours.moving_mean), seen.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(ours.moving_variance), seen.var((0, 1, 2)), rtol=1e-2)


@pytest.mark.parametrize("shape", [(16, 8), (4, 6, 8)])
def test_inputs_that_are_not_images_take_keras_code(shape, rng):
    x = rng.normal(size=shape).astype("float32")
    for training in (True, False):
        ours, theirs = BatchNormalization(), keras.layers.BatchNormalization()
        a, b = ours(x, training=training), theirs(x, training=training)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_masked_inputs_count_as_in_keras(rng):
    x = rng.normal(size=SHAPE).astype("float32")
    mask = rng.random(SHAPE[:-1]) > 0.5
    ours, theirs = pair()
    a, b = (layer(x, training=True, mask=mask) for layer in (ours, theirs))
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_float64_is_computed_in_float64(rng):
    x = rng.normal(size=SHAPE)
    ours, theirs = pair(dtype="float64")
    a, b = ours(x, training=True), theirs(x, training=True)
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_frozen_layer_uses_and_keeps_its_moving_statistics(rng):
    x = rng.normal(5, 1, SHAPE).astype("float32")
    ours, theirs = pair()
    for layer in (ours, theirs):
        layer.trainable = False
    before = np.asarray(ours.moving_mean).copy()
    a, b = (layer(x, training=True) for layer in (ours, theirs))
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(ours.moving_mean), before)


def test_group_normalization_has_sixteen_channels_a_group_where_they_fit():
    groups = {
        n: make_normalization("group", n, momentum=0, epsilon=1e-5).groups for n in (16, 64, 24, 7)
    }
    assert groups == {16: 1, 64: 4, 24: 3, 7: 7}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation_order", ["post", "pre"])
def test_a_fixed_normalization_is_the_affine_map_that_it_is_in_inference(
    rng, dtype, activation_order
):
    stack = Stack(
        filters=(4, 6),
        kernel_sizes=(3, 1),
        strides=(2, 1),
        activation_order=activation_order,
        output_bias=-1.0,
        dtype=dtype,
    )
    stack.build((None, 7, 7, 3))
    for weight in stack.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    for norm in stack.norms:
        norm.trainable = False
    x = tf.constant(rng.normal(size=(2, 7, 7, 3)), dtype)
    before = [norm.get_weights() for norm in stack.norms]

    def by_layers(x, training):
        for conv, norm in zip(stack.convs, [*stack.norms, None]):
            x = conv(x)
            x = x if norm is None else norm(x, training=training)
            x = x if conv is stack.convs[-1] else tf.nn.relu(x)
        return x

    results = []
    for run, training in ((stack, True), (stack, False), (by_layers, True)):
        with tf.GradientTape() as tape:
            y = run(x, training=training)
            loss = tf.reduce_sum(y * y)
        results.append([y, *tape.gradient(loss, [v.value for v in stack.trainable_variables])])
    assert len(stack.trainable_variables) == len(results[0]) - 1 == 2 + (activation_order == "pre")
    for results_of_one in zip(*results):
        *ours, expected = map(np.asarray, results_of_one)
        for each in ours:
            np.testing.assert_allclose(each, expected, rtol=1e-4 if dtype == "float32" else 1e-10)
    for kept, norm in zip(before, stack.norms):
        np.testing.assert_array_equal(kept, norm.get_weights())
