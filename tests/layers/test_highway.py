import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.layers import GATINGS, Highway


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("gating", GATINGS)
def test_layer_computes_the_equation_of_its_gating(gating, rng):
    x = rng.normal(size=(5, 6)).astype("float32")
    layer = Highway(gating=gating)
    layer.build(x.shape)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))

    def dense(part):
        return x @ np.asarray(part.kernel) + np.asarray(part.bias)

    h = np.maximum(dense(layer.transform), 0)
    t = sigmoid(dense(layer.transform_gate)) if layer.transform_gate else 1
    c = sigmoid(dense(layer.carry_gate)) if layer.carry_gate else 1
    c = {"plain": 0, "coupled": 1 - t}.get(gating, c)
    np.testing.assert_allclose(np.asarray(layer(x)), h * t + x * c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("gating", "layers", "count"),
    [
        ("full", 2, 7_266_600),
        ("coupled", 2, 4_844_400),
        ("c_only", 2, 4_844_400),
        ("t_only", 2, 4_844_400),
        ("residual", 4, 4_844_400),
    ],
)
def test_parameters_at_the_language_models_width(gating, layers, count):
    layer = Highway(gating=gating)
    layer.build((None, 1100))
    assert layers * layer.count_params() == count


def test_fresh_layer_mostly_carries(rng):
    layer = Highway()
    x = rng.normal(size=(4, 16)).astype("float32")
    layer(x)
    np.testing.assert_array_equal(np.asarray(layer.transform_gate.bias), -2.0)


@pytest.mark.parametrize("gating", GATINGS)
def test_configuration_and_weights_survive_saving(gating, tmp_path, rng):
    x = rng.normal(size=(4, 3, 8)).astype("float32")
    inputs = keras.Input((3, 8))
    model = keras.Model(inputs, Highway(gating=gating, activation="tanh", carry_bias=2.0)(inputs))
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    assert again.layers[1].get_config() == model.layers[1].get_config()


def test_kernels_of_one_layer_start_from_different_draws():
    layer = Highway(gating="full")
    layer.build((None, 8))
    parts = (layer.transform, layer.transform_gate, layer.carry_gate)
    kernels = [np.asarray(part.kernel) for part in parts]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])


def test_typo_in_the_gating_is_rejected_with_the_right_name():
    with pytest.raises(InputError, match="Did you mean 'coupled'"):
        Highway(gating="couple")
