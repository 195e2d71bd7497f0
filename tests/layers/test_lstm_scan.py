import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keras_unrolled.layers.lstm_scan import make_scan

BATCH, STEPS, UNITS = 2, 4, 3


def loop(inputs, recurrent, output, cell, mask):
    """The equations of the LSTM, step by step, of which JAX takes the gradient itself."""
    outputs = []
    for t in range(STEPS):
        former = output if mask is None else output * mask
        i, f, c, o = jnp.split(inputs[:, t] + former @ recurrent, 4, -1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        output = jax.nn.sigmoid(o) * jnp.tanh(cell)
        outputs.append(output)
    return jnp.stack(outputs, 1), output, cell


def draw(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), "float32")


@pytest.mark.parametrize("masked", [False, True])
def test_results_and_gradients_are_those_of_a_loop(rng, masked):
    arguments = [
        draw(rng, BATCH, STEPS, 4 * UNITS),
        draw(rng, UNITS, 4 * UNITS),
        draw(rng, BATCH, UNITS),
        draw(rng, BATCH, UNITS),
    ]
    mask = jnp.asarray([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]]) if masked else None
    weights = [draw(rng, BATCH, STEPS, UNITS), draw(rng, BATCH, UNITS), draw(rng, BATCH, UNITS)]

    def score(run):
        def total(*arguments):
            return sum(jnp.sum(w * y) for w, y in zip(weights, run(*arguments, mask)))

        return jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2, 3)))(*arguments)

    (ours, gradients), (expected, references) = score(make_scan()), score(loop)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    for gradient, reference in zip(gradients, references):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-5)


def test_products_are_of_the_inputs_dtype_and_the_state_keeps_its_own(rng):
    inputs, recurrent = (
        draw(rng, *shape).astype("bfloat16")
        for shape in ((BATCH, STEPS, 4 * UNITS), (UNITS, 4 * UNITS))
    )
    state = draw(rng, BATCH, UNITS), draw(rng, BATCH, UNITS)
    results, pull = jax.vjp(lambda *values: make_scan()(*values, None), inputs, recurrent, *state)
    gradients = pull(tuple(map(jnp.ones_like, results)))
    assert [str(x.dtype) for x in results] == ["bfloat16", "float32", "float32"]
    assert [str(x.dtype) for x in gradients] == ["bfloat16", "bfloat16", "float32", "float32"]
    wide = loop(inputs.astype("float32"), recurrent.astype("float32"), *state, None)
    np.testing.assert_allclose(results[0].astype("float32"), wide[0], atol=0.03)
