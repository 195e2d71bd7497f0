"""Six gatings as one table, and the function that mixes estimates.

Every block of every network here is `y = H(x) * T(x) + x * C(x)` (Greff et al. 2017,
eqs. 2-5). The networks differ only in how T and C are produced, and that is data.
"""

from dataclasses import dataclass
from typing import Literal

import keras
from keras import ops

from keras_unrolled import checks


@dataclass(frozen=True)
class Gating:
    """How the transform gate T and the carry gate C of a block are produced.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.layers.GATINGS["coupled"].free
        ('transform',)
        >>> ku.layers.GATINGS["plain"].carries
        False
    """

    transform: Literal["one", "free"]
    carry: Literal["zero", "one", "free", "coupled"]

    @property
    def carries(self) -> bool:
        """Whether a block carries its input (a plain block does not)."""
        return self.carry != "zero"

    @property
    def free(self) -> tuple[str, ...]:
        """The gates with weights, among "transform" and "carry"."""
        return tuple(gate for gate in ("transform", "carry") if getattr(self, gate) == "free")


GATINGS = {
    "plain": Gating("one", "zero"),  # y = H          (eq. 2)
    "residual": Gating("one", "one"),  # y = H + x      (eq. 5)
    "full": Gating("free", "free"),  # y = H*T + x*C  (eq. 3)
    "coupled": Gating("free", "coupled"),  # C = 1 - T      (eq. 4)
    "c_only": Gating("one", "free"),  # y = H + x*C    (section 5.2)
    "t_only": Gating("free", "one"),  # y = H*T + x    (section 5.2)
}

# How a block is left out: T = 0, and C = 1 or as it is.
LESIONS = ("identity", "keep_carry")


def mix(gating, h, x, transform=None, carry=None):
    """Mixes a new estimate `h` with the old one `x`: `h * T + x * C`.

    Gated sums are computed in float32 at least, and rounded to `x`'s dtype once: in
    bfloat16 the carry `1 - T` of a nearly closed gate would round to 1, and a deep stack
    would never forget.

    Args:
        gating: string, a key of `GATINGS`.
        h: tensor of any shape, the transform H(x).
        x: tensor of `h`'s shape, the block's input, projected where the block changes shape.
        transform: tensor that broadcasts to `h`, the gate T in 0..1; only where T is free.
        carry: tensor that broadcasts to `x`, the gate C in 0..1; only where C is free.

    Returns:
        A tensor of `x`'s shape and dtype.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> new, old = keras.ops.array([4.0]), keras.ops.array([2.0])
        >>> float(ku.layers.mix("coupled", new, old, transform=keras.ops.array([0.25]))[0])
        2.5
        >>> float(ku.layers.mix("residual", new, old)[0])
        6.0
    """
    rule = GATINGS[gating]
    if not rule.carries:
        return h
    if not rule.free:
        return ops.add(h, x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    wide = keras.backend.result_type(dtype, "float32")
    h, x = ops.cast(h, wide), ops.cast(x, wide)
    if rule.carry == "coupled":
        # The same as h * T + x * (1 - T), and exactly x where the gate is closed.
        return ops.cast(ops.add(x, ops.multiply(transform, ops.subtract(h, x))), dtype)
    new = ops.multiply(h, transform) if rule.transform == "free" else h
    old = ops.multiply(x, carry) if rule.carry == "free" else x
    return ops.cast(ops.add(new, old), dtype)


def effective_gates(gating, transform=None, carry=None):
    """T and C of `y = H * T + x * C` as tensors, also where a gating fixes or couples them.

    Args:
        gating: string, a key of `GATINGS`.
        transform: tensor, the gate T, where it is free.
        carry: tensor, the gate C, where it is free.

    Returns:
        Two tensors in float32 at least. One that is fixed at 0 or 1 has the shape `()`.
    """
    rule = GATINGS[gating]
    if rule.transform != "free":
        transform = ops.convert_to_tensor(1.0, "float32")
    if rule.carry == "coupled":
        carry = ops.subtract(1.0, transform)
    elif rule.carry != "free":
        carry = ops.convert_to_tensor(1.0 if rule.carry == "one" else 0.0, "float32")
    return transform, carry


def check_lesion(how, name, gating, changes_shape=False):
    """Raises `InputError` unless a block or layer can be left out in this way.

    Args:
        how: string, one of `LESIONS`.
        name: string, the block's name, for the message.
        gating: string, a key of `GATINGS`.
        changes_shape: bool, whether the block changes the shape of its input.
    """
    checks.one_of("how", how, LESIONS)
    if how == "keep_carry" and "carry" not in GATINGS[gating].free:
        raise checks.InputError(
            f'Expected a block with a free carry gate for how="keep_carry". Received: {name}, of '
            f'gating {gating!r}. Choose how="identity".'
        )
    if changes_shape and not GATINGS[gating].carries:
        raise checks.InputError(
            f"Expected a block that can be left out. Received: {name}, a transition block of a plain "
            "network: it changes the shape and has no shortcut. Choose another block."
        )


def gate_activation(preactivation):
    """The logistic gate of a pre-activation of any shape, in float32 at least, in 0..1.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> float(ku.layers.gate_activation(keras.ops.array([0.0]))[0])
        0.5
    """
    dtype = keras.backend.standardize_dtype(preactivation.dtype)
    wide = keras.backend.result_type(dtype, "float32")
    return ops.sigmoid(ops.cast(preactivation, wide))


open_gate = gate_activation  # its former name
