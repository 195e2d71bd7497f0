import keras
import numpy as np
import pytest

from keras_unrolled.layers import GATINGS, gate_activation, mix

H = np.array([[1.0, -2.0, 3.0]], "float32")
X = np.array([[0.5, 4.0, -1.0]], "float32")
T = np.array([[0.25, 0.5, 0.125]], "float32")
C = np.array([[0.75, 0.5, 0.25]], "float32")

EXPECTED = {
    "plain": H,
    "residual": H + X,
    "full": H * T + X * C,
    "coupled": H * T + X * (1 - T),
    "c_only": H + X * C,
    "t_only": H * T + X,
}


def to_numpy(x):
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))


def test_table_holds_the_six_gatings_of_the_paper():
    assert GATINGS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("gating", GATINGS)
def test_mix_follows_the_papers_equations(gating):
    tensors = (keras.ops.convert_to_tensor(a) for a in (H, X, T, C))
    np.testing.assert_allclose(to_numpy(mix(gating, *tensors)), EXPECTED[gating], rtol=1e-6)


def test_nearly_open_carry_still_forgets_in_bfloat16():
    # 1 - 2^-9 is 1 in bfloat16: a carry of that dtype would never decay.
    carry = keras.ops.full((1,), 1 - 2.0**-9)
    h, x = (keras.ops.cast(keras.ops.full((1,), value), "bfloat16") for value in (-255.0, 256.0))
    for mixed in (mix("c_only", h, x, carry=carry), mix("full", h, x, 1.0, carry)):
        assert keras.backend.standardize_dtype(mixed.dtype) == "bfloat16"
        np.testing.assert_allclose(to_numpy(mixed), 0.5)  # and not 1


def test_gates_are_float32_under_mixed_precision_and_float64_in_float64():
    for dtype, wide in (("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")):
        gate = gate_activation(keras.ops.cast(np.zeros((2,)), dtype))
        assert keras.backend.standardize_dtype(gate.dtype) == wide
        np.testing.assert_allclose(to_numpy(gate), 0.5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_coupled_and_full_with_gates_forced_agree_with_a_copy_or_with_plain(value, rng):
    h, x = (rng.normal(size=(2, 4, 4, 3)).astype("float32") for _ in range(2))
    gate, other = np.float32(value), np.float32(1 - value)
    expected = h if value else x
    np.testing.assert_allclose(to_numpy(mix("coupled", h, x, gate)), expected, atol=1e-6)
    np.testing.assert_allclose(to_numpy(mix("full", h, x, gate, other)), expected, atol=1e-6)
