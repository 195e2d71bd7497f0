"""An LSTM whose state is an argument and a result, for text that continues from batch to batch."""

import keras
from keras import ops

from keras_unrolled import checks
from keras_unrolled.layers.lstm_scan import make_scan

UNROLLED = 64  # steps up to which a loop is written out, which is faster


@keras.saving.register_keras_serializable(package="keras_unrolled")
class LSTM(keras.layers.Layer):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gates), state in and out.

    With the kernels of `keras.layers.LSTM` in their order (input, forget, cell, output), it computes the
    same function. It differs in what carried state needs: `y, state = lstm(x, state)`, and in two biases,
    one for each product, as torch and Kim et al. 2016 have them; one of them would do, and SGD moves
    their sum twice as fast. The input's product is taken for all steps at once.

    Args:
        units: int, size of the state.
        two_biases: bool, whether there is a recurrent bias besides the input's.
        recurrent_dropout: float in [0, 1), part of the state's output that the recurrent product does
            not read while training, the same units at all steps of a call (Gal & Ghahramani 2016).
        kernel_initializer: of the input's kernel.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of both biases.

    Call arguments:
        x: float tensor `(batch, steps, features)`.
        state: list of two tensors `(batch, units)`, output and cell, float32 unless all is float64;
            None means zeros.
        projected: bool, whether `x` is what `project` gave.
        training: bool, whether `recurrent_dropout` acts.

    Output: `(batch, steps, units)` in the compute dtype, and the state after the last step.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> lstm = ku.layers.LSTM(units=6)
        >>> y, state = lstm(keras.ops.ones((2, 5, 3)))
        >>> y, state = lstm(keras.ops.ones((2, 5, 3)), state)  # goes on where it was
        >>> tuple(y.shape), len(state)
        ((2, 5, 6), 2)
    """

    def __init__(
        self,
        units,
        *,
        two_biases=True,
        recurrent_dropout=0.0,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        # The state stays float32 under mixed precision; the rest is cast where it is used.
        super().__init__(**{**kwargs, "autocast": False})
        self.units = checks.whole("units", units, least=1, most=65_536)
        self.two_biases = checks.flag("two_biases", two_biases)
        self.recurrent_dropout = checks.real(
            "recurrent_dropout", recurrent_dropout, least=0, most=1, below=True
        )
        if recurrent_dropout:
            self.seed_generator = keras.random.SeedGenerator()
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        wide = 4 * self.units

        def add(name, shape, initializer):
            # A copy each: one without a seed returns the same draw whenever it is called.
            return self.add_weight(name=name, shape=shape, initializer=initializer.clone())

        self.kernel = add("kernel", (input_shape[-1], wide), self.kernel_initializer)
        self.recurrent_kernel = add(
            "recurrent_kernel", (self.units, wide), self.recurrent_initializer
        )
        self.bias = add("bias", (wide,), self.bias_initializer)
        self.recurrent_bias = None
        if self.two_biases:
            self.recurrent_bias = add("recurrent_bias", (wide,), self.bias_initializer)
        self.built = True

    @property
    def state_dtype(self):
        """float32, or float64 where all is."""
        return _wide(self.compute_dtype)

    def start(self, batch):
        """The state before the first step: zeros `(batch, units)`, twice."""
        return [ops.zeros((batch, self.units), self.state_dtype) for _ in range(2)]

    def project(self, x):
        """The input's product, biases added: `(..., 4 * units)` for `(..., features)`.

        If few distinct inputs are repeated it can be cached, see `projected`.
        """
        bias = self.bias if self.recurrent_bias is None else self.bias + self.recurrent_bias
        x, kernel, bias = (ops.cast(v, self.compute_dtype) for v in (x, self.kernel, bias))
        return ops.matmul(x, kernel) + bias

    def call(self, x, state=None, projected=False, training=None):
        output, cell = self.start(ops.shape(x)[0]) if state is None else state
        inputs = ops.cast(x, self.compute_dtype) if projected else self.project(x)
        recurrent = ops.cast(self.recurrent_kernel, self.compute_dtype)
        mask = self._draw_mask(output) if training and self.recurrent_dropout else None
        steps = x.shape[1]
        backend = keras.backend.backend()
        if backend == "jax":  # XLA takes long to compile a loop that is written out
            outputs, *state = make_scan()(inputs, recurrent, output, cell, mask)
            return outputs, state
        if steps is not None and steps <= UNROLLED:
            run = _unroll_tensorflow if backend == "tensorflow" else _unroll
            return run(inputs, recurrent, output, cell, mask)

        def step(state, z):
            output, cell = state
            state = _step(z, recurrent, output, cell, mask)
            return state, state  # on TensorFlow `scan` gives back what is shaped like the state

        state, (outputs, _) = ops.scan(step, [output, cell], ops.swapaxes(inputs, 0, 1))
        return ops.cast(ops.swapaxes(outputs, 0, 1), self.compute_dtype), list(state)

    def _draw_mask(self, output):
        kept = ops.ones_like(output)
        return keras.random.dropout(kept, self.recurrent_dropout, seed=self.seed_generator)

    def compute_output_spec(self, x, state=None, projected=False, training=None):
        batch, steps = x.shape[:2]
        rest = [keras.KerasTensor((batch, self.units), self.state_dtype) for _ in range(2)]
        return keras.KerasTensor((batch, steps, self.units), self.compute_dtype), rest

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": self.units,
            "two_biases": self.two_biases,
            "recurrent_dropout": self.recurrent_dropout,
            "kernel_initializer": serialize(self.kernel_initializer),
            "recurrent_initializer": serialize(self.recurrent_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }


def _wide(dtype):
    return "float64" if str(dtype) == "float64" else "float32"


def _step(z, recurrent, output, cell, mask=None):
    output = output if mask is None else output * mask
    z = z + ops.matmul(ops.cast(output, recurrent.dtype), recurrent)
    i, f, c, o = ops.split(ops.cast(z, cell.dtype), 4, -1)
    cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(c)
    return [ops.sigmoid(o) * ops.tanh(cell), cell]


def _unroll(inputs, recurrent, output, cell, mask=None):
    outputs = []
    for z in ops.unstack(inputs, axis=1):
        output, cell = _step(z, recurrent, output, cell, mask)
        outputs.append(output)
    return ops.cast(ops.stack(outputs, 1), inputs.dtype), [output, cell]


def _unroll_tensorflow(inputs, recurrent, output, cell, mask=None):
    """`_unroll` with a custom gradient.

    TensorFlow's would multiply and add up the recurrent kernel's gradient at every step; here one
    product does it for all, and what does not wait for a later step is computed for all at once.
    """
    import tensorflow as tf

    dtype, wide = inputs.dtype, cell.dtype

    def masked(x):
        return x if mask is None else x * mask

    @tf.custom_gradient
    def run(inputs, recurrent, output, cell):
        outputs, rows = [], []
        for z in tf.unstack(inputs, axis=1):
            former, past = tf.cast(masked(output), dtype), cell
            z = tf.cast(z + tf.matmul(former, recurrent), wide)
            i, f, c, o = tf.split(z, 4, -1)
            i, f, c, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(c), tf.sigmoid(o)
            cell = f * past + i * c
            squashed = tf.tanh(cell)
            output = o * squashed
            outputs.append(output)
            rows.append((former, past, i, f, c, o, squashed))
        formers, past, i, f, c, o, squashed = (tf.stack(r) for r in zip(*rows))

        def gradient(d_outputs, d_output, d_cell):
            d_outputs = tf.unstack(tf.cast(d_outputs, wide), axis=1)
            through_cell = tf.unstack(o * (1 - squashed * squashed))
            gates = tf.concat(
                [c * i * (1 - i), past * f * (1 - f), i * (1 - c * c), squashed * o * (1 - o)], -1
            )
            gates, forget, d_zs = tf.unstack(gates), tf.unstack(f), []
            for t in reversed(range(len(rows))):
                d_output = d_output + d_outputs[t]
                d_cell = d_cell + d_output * through_cell[t]
                d_z = tf.concat([d_cell, d_cell, d_cell, d_output], -1) * gates[t]
                d_zs.append(tf.cast(d_z, dtype))
                d_cell = d_cell * forget[t]
                d_output = tf.cast(tf.matmul(d_zs[-1], recurrent, transpose_b=True), wide)
                d_output = masked(d_output)
            d_z = tf.stack(d_zs[::-1])
            formers_, d_z_ = (tf.reshape(x, (-1, x.shape[-1])) for x in (formers, d_z))
            d_recurrent = tf.matmul(formers_, d_z_, transpose_a=True)
            return tf.transpose(d_z, (1, 0, 2)), d_recurrent, d_output, d_cell

        return (tf.cast(tf.stack(outputs, 1), dtype), output, cell), gradient

    outputs, output, cell = run(inputs, recurrent, output, cell)
    return outputs, [output, cell]
