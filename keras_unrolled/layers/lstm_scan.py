"""The LSTM's loop on JAX: a scan, which compiles in seconds, with a gradient of its own."""

import functools


@functools.cache
def make_scan():
    """A function that runs the steps of an LSTM.

    JAX's gradient would add up the recurrent kernel's at every step; here one product makes it for all
    steps, and what does not wait for a later step is computed for all at once.

    Returns:
        A function of projected inputs `(batch, steps, 4 * units)`, recurrent kernel
        `(units, 4 * units)`, output and cell `(batch, units)`, and a mask like them or None, which gets
        no gradient. It returns the outputs `(batch, steps, units)` and the last output and cell.
    """
    import jax
    import jax.numpy as jnp

    def run_forward(inputs, recurrent, output, cell, mask):
        def step(state, z):
            output, past = state
            former = (output if mask is None else output * mask).astype(recurrent.dtype)
            z = (z + former @ recurrent).astype(past.dtype)
            i, f, c, o = jnp.split(z, 4, -1)
            i, f, c, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(c), jax.nn.sigmoid(o)
            cell = f * past + i * c
            squashed = jnp.tanh(cell)
            output = o * squashed
            return (output, cell), (output, former, past, i, f, c, o, squashed)

        state, (outputs, *rows) = jax.lax.scan(step, (output, cell), inputs.swapaxes(0, 1))
        return (outputs.swapaxes(0, 1).astype(inputs.dtype), *state), (recurrent, mask, *rows)

    @jax.custom_vjp
    def scan(*arguments):
        return run_forward(*arguments)[0]

    def run_backward(saved, gradients):
        recurrent, mask, formers, past, i, f, c, o, squashed = saved
        d_outputs, d_output, d_cell = gradients
        gates = jnp.concatenate(
            [c * i * (1 - i), past * f * (1 - f), i * (1 - c * c), squashed * o * (1 - o)], -1
        )
        through_cell = o * (1 - squashed * squashed)
        d_outputs = d_outputs.swapaxes(0, 1).astype(past.dtype)

        def step(state, row):
            d_output, d_cell = state
            more, through, gates, forget = row
            d_output = d_output + more
            d_cell = d_cell + d_output * through
            d_z = jnp.concatenate([d_cell, d_cell, d_cell, d_output], -1) * gates
            d_z = d_z.astype(recurrent.dtype)
            d_output = (d_z @ recurrent.T).astype(past.dtype)
            return (d_output if mask is None else d_output * mask, d_cell * forget), d_z

        rows = (d_outputs, through_cell, gates, f)
        (d_output, d_cell), d_z = jax.lax.scan(step, (d_output, d_cell), rows, reverse=True)
        d_recurrent = jnp.einsum("tbu,tbz->uz", formers, d_z)
        return d_z.swapaxes(0, 1), d_recurrent, d_output, d_cell, None

    scan.defvjp(run_forward, run_backward)
    return scan
