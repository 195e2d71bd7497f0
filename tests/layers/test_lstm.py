import keras
import numpy as np
import pytest
from keras import ops

from keras_unrolled import InputError
from keras_unrolled.layers import LSTM, lstm


def fill(layer, rng):
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / 3)


def array(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("steps", [1, 9, 70])  # written out, and beyond that a loop
def test_it_is_keras_lstm_with_the_sum_of_both_biases(steps, rng):
    x = rng.normal(size=(3, steps, 5)).astype("float32")
    ours = LSTM(4)
    ours.build(x.shape)
    fill(ours, rng)
    peer = keras.layers.LSTM(4, return_sequences=True, return_state=True)
    peer.build(x.shape)
    kernel, recurrent, bias, other = map(array, ours.weights)
    for weight, value in zip(peer.weights, (kernel, recurrent, bias + other)):
        weight.assign(value)
    expected = peer(x)
    outputs, state = ours(x)
    np.testing.assert_allclose(array(outputs), array(expected[0]), atol=1e-6)
    for found, wanted in zip(state, expected[1:]):
        np.testing.assert_allclose(array(found), array(wanted), atol=1e-6)


def test_text_in_two_parts_is_the_text_in_one(rng):
    x = rng.normal(size=(2, 12, 3)).astype("float32")
    layer = LSTM(4)
    whole, end = layer(x)
    first, state = layer(x[:, :5])
    second, state = layer(x[:, 5:], state)
    np.testing.assert_allclose(
        array(whole), np.concatenate([array(first), array(second)], 1), atol=1e-6
    )
    for a, b in zip(end, state):
        np.testing.assert_allclose(array(a), array(b), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_gradient_of_its_own_is_that_of_tensorflow(dtype, masked, rng):
    import tensorflow as tf

    wide = "float64" if dtype == "float64" else "float32"
    arguments = [
        tf.constant(rng.normal(size=shape) / 2, d)
        for shape, d in (((3, 7, 20), dtype), ((5, 20), dtype), ((3, 5), wide), ((3, 5), wide))
    ]
    mask = tf.constant(rng.integers(0, 2, (3, 5)) * 2, wide) if masked else None

    def gradients(run):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            outputs, (output, cell) = run(*arguments, mask)
            loss = tf.reduce_sum(tf.cast(outputs, wide) ** 2)
            loss += tf.reduce_sum(tf.sin(output)) + tf.reduce_sum(cell**3)
        return tape.gradient(loss, arguments)

    tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.05}[dtype]
    for found, expected in zip(gradients(lstm._unroll_tensorflow), gradients(lstm._unroll)):
        assert found.dtype == expected.dtype
        found, expected = (tf.cast(g, "float64").numpy() for g in (found, expected))
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("steps", [9, 70])
def test_recurrent_dropout_hides_the_same_units_of_the_state_at_all_steps(steps, rng):
    x = rng.normal(size=(3, steps, 5)).astype("float32")
    layer, plain = LSTM(40, recurrent_dropout=0.4), LSTM(40)
    for each in (layer, plain):
        each.build(x.shape)
    fill(plain, rng)
    for ours, theirs in zip(layer.weights, plain.weights):
        ours.assign(theirs)
    np.testing.assert_array_equal(array(layer(x, training=False)[0]), array(plain(x)[0]))
    drawn = []
    draw = layer._draw_mask
    layer._draw_mask = lambda output: drawn.append(array(draw(output))) or drawn[-1]
    found, (_, end) = layer(x, training=True)
    (mask,) = drawn
    assert set(np.unique(mask.round(5))) == {0, np.float32(1 / 0.6).round(5)}
    assert 0.4 < (mask > 0).mean() < 0.8
    output, cell = np.zeros((3, 40)), np.zeros((3, 40))
    kernel, recurrent, bias, other = map(array, plain.weights)
    for t in range(steps):
        z = x[:, t] @ kernel + bias + other + (output * mask) @ recurrent
        i, f, c, o = np.split(z, 4, -1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        cell = f * cell + i * np.tanh(c)
        output = o * np.tanh(cell)
        np.testing.assert_allclose(array(found)[:, t], output, atol=1e-4)
    np.testing.assert_allclose(array(end), cell, atol=1e-4)
    assert LSTM.from_config(layer.get_config()).recurrent_dropout == 0.4


def test_one_bias_less_is_four_times_the_units_less():
    counts = []
    for two in (True, False):
        layer = LSTM(300, two_biases=two)
        layer.build((None, None, 525))
        counts.append(layer.count_params())
    assert counts[0] == 992_400
    assert counts[0] - counts[1] == 1_200


def test_state_stays_float32_under_mixed_precision(rng):
    layer = LSTM(4, dtype="mixed_bfloat16")
    outputs, state = layer(rng.normal(size=(2, 3, 5)).astype("float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(s.dtype) for s in state} == {"float32"}


def test_configuration_and_weights_survive_saving(tmp_path, rng):
    inputs = keras.Input((6, 3))
    layer = LSTM(4, two_biases=False, kernel_initializer="he_normal")
    outputs, state = layer(inputs)
    model = keras.Model(inputs, [outputs, *state])
    x = rng.normal(size=(2, 6, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for a, b in zip(again.predict(x, verbose=0), expected):
        np.testing.assert_array_equal(a, b)
    assert again.layers[1].get_config() == layer.get_config()


def test_zero_units_and_full_dropout_are_rejected():
    with pytest.raises(InputError, match="units"):
        LSTM(0)
    with pytest.raises(InputError, match="recurrent_dropout"):
        LSTM(2, recurrent_dropout=1.0)
    assert ops.shape(LSTM(2).start(3)[0]) == (3, 2)
