import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError
from keras_unrolled.layers import GATINGS, Block
from tests.nets import OPTIONS, SMALL, randomize

BLOCK_OPTIONS = {
    name: {k: v for k, v in options.items() if k not in {*SMALL, "stem", "width_multiplier"}}
    for name, options in OPTIONS.items()
}


def convolve(x, kernel, bias, stride):
    pad = kernel.shape[0] // 2
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    k = kernel.shape[0]
    rows = range(0, x.shape[1] - k + 1, stride)
    columns = range(0, x.shape[2] - k + 1, stride)
    out = [
        [np.einsum("bhwc,hwcf->bf", x[:, i : i + k, j : j + k], kernel) for j in columns]
        for i in rows
    ]
    return np.moveaxis(np.array(out), 2, 0) + (0 if bias is None else bias)


def relu(x):
    return np.maximum(x, 0)


def normalize(x, norm):
    gamma, beta, mean, variance = (np.asarray(w, "float64") for w in norm.weights)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def reference_stack(x, stack):
    for i, conv in enumerate(stack.convs):
        bias = np.asarray(conv.bias, "float64") if conv.use_bias else None
        x = convolve(x, np.asarray(conv.kernel, "float64"), bias, conv.strides[0])
        if i < len(stack.norms):
            x = normalize(x, stack.norms[i])
        if i + 1 < len(stack.convs):
            x = relu(x)
    return x


def reference(x, block):
    """The block by its equations, in NumPy and float64."""
    entry = x
    if block.activation_order == "pre":
        entry = relu(normalize(x, block.preactivation) if block.preactivation else x)
    h = reference_stack(entry, block.transform)
    h = relu(h) if block.transform_relu else h
    t = c = 1.0
    if block.transform_gate is not None:
        t = 1 / (1 + np.exp(-reference_stack(entry, block.transform_gate)))
    if block.carry_gate is not None:
        c = 1 / (1 + np.exp(-reference_stack(entry, block.carry_gate)))
    c = {"coupled": 1 - t, "plain": 0}.get(block.gating, c)
    if block.projection is not None:
        x = reference_stack(entry, block.projection)
    elif block.changes_shape and block.gating != "plain":
        padded = np.zeros(h.shape)
        padded[..., : x.shape[-1]] = x[:, :: block.strides, :: block.strides]
        x = padded
    elif block.gating == "plain":
        x = 0
    y = h * t + x * c
    return relu(y) if block.mix_relu else y


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, o in BLOCK_OPTIONS.items()
        if o.get("normalization") != "group" and "dropout" not in name
    ],
)
def test_block_computes_its_equations(name, strides, rng):
    block = Block(8, strides=strides, **BLOCK_OPTIONS[name])
    x = rng.normal(size=(2, 7, 6, 8)).astype("float32")
    block.build(x.shape)
    randomize(block)
    y = np.asarray(block(x))
    np.testing.assert_allclose(y, reference(x.astype("float64"), block), rtol=1e-4, atol=1e-4)
    assert block.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("name", BLOCK_OPTIONS)
def test_gradients_reach_every_trainable_weight(name, rng):
    # Dropped blocks have no gradient by design; their draw is not what is tested here.
    block = Block(8, strides=2, **{**BLOCK_OPTIONS[name], "layer_dropout": 0.0})
    x = tf.constant(rng.normal(size=(4, 6, 6, 4)).astype("float32"))
    block.build(x.shape)
    randomize(block)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(x, training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in block.trainable_variables])
    for variable, gradient in zip(block.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        # A bias before a normalization would have none; no such weight may exist.
        assert float(tf.reduce_max(tf.abs(gradient))) > 1e-6, variable.path


def set_gate(stack, value):
    """Makes a gate's pre-activation a constant."""
    set_kernels_to_zero(stack)
    ends_in_norm = len(stack.norms) == len(stack.convs)
    bias = stack.norms[-1].beta if ends_in_norm else stack.convs[-1].bias
    bias.assign(np.full(stack.filters[-1], value))


@pytest.mark.parametrize("gate_type", ["stack", "pointwise"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_gates_forced_open_or_closed_collapse_gatings_into_one_another(gate_type, order, rng):
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    blocks = {g: Block(8, gating=g, gate_type=gate_type, activation_order=order) for g in GATINGS}
    for block in blocks.values():
        block.build(x.shape)
        randomize(block.transform, seed=5)
        if block.preactivation is not None:
            randomize(block.preactivation, seed=6)
    opened, closed = 40.0, -40.0

    def outputs(gating, transform=None, carry=None):
        if transform is not None:
            set_gate(blocks[gating].transform_gate, transform)
        if carry is not None:
            set_gate(blocks[gating].carry_gate, carry)
        return np.asarray(blocks[gating](x))

    residual, plain = outputs("residual"), outputs("plain")
    copy = np.maximum(x, 0) if order == "post" else x
    for got, expected in [
        (outputs("full", opened, opened), residual),
        (outputs("t_only", opened), residual),
        (outputs("c_only", carry=opened), residual),
        (outputs("full", opened, closed), plain),
        (outputs("c_only", carry=closed), plain),
        (outputs("coupled", opened), plain),
        (outputs("full", closed, opened), copy),
        (outputs("t_only", closed), copy),
        (outputs("coupled", closed), copy),
    ]:
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_fresh_gate_starts_at_its_bias(rng):
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    for options in (
        {},
        {"activation_order": "pre"},
        {"normalization": None},
        {"gate_type": "pointwise"},
    ):
        block = Block(8, gating="full", transform_bias=-3.0, carry_bias=2.0, **options)
        parts = block.parts(x, training=True) if block.built else (block(x), block.parts(x))[1]
        for gate, bias in (("transform_gate", -3.0), ("carry_gate", 2.0)):
            set_kernels_to_zero(getattr(block, gate))
            value = np.asarray(block.parts(x)[gate])
            np.testing.assert_allclose(value, 1 / (1 + np.exp(-bias)), rtol=1e-5)
        assert parts["output"].shape == x.shape


def set_kernels_to_zero(stack):
    for conv in stack.convs:
        conv.kernel.assign(np.zeros(conv.kernel.shape))


@pytest.mark.parametrize("gating", GATINGS)
def test_parts_are_what_is_mixed(gating, rng):
    x = rng.normal(size=(1, 4, 4, 8)).astype("float32")
    block = Block(8, gating=gating, layer_dropout=0.0 if gating == "plain" else 0.25)
    y = np.asarray(block(x))
    randomize(block)
    y = np.asarray(block(x))
    parts = {name: np.asarray(value) for name, value in block.parts(x).items()}
    names = {"transform", "transform_gate", "carry_gate", "shortcut", "mix", "output"}
    assert parts.keys() == names - ({"shortcut"} if gating == "plain" else set())
    np.testing.assert_array_equal(parts["output"], y)
    np.testing.assert_array_equal(np.maximum(parts["mix"], 0), y)
    # Gates that are fixed or coupled are there, and all after layer dropout.
    transform, carry = parts["transform_gate"], parts["carry_gate"]
    mixed = parts["transform"] * transform + parts.get("shortcut", 0) * carry
    np.testing.assert_allclose(parts["mix"], mixed, rtol=1e-5, atol=1e-5)
    rule = GATINGS[gating]
    fixed = {"one": 1.0, "zero": 0.0}
    for gate, kind in ((transform, rule.transform), (carry, rule.carry)):
        assert gate.shape == (() if kind in fixed else x.shape)
        assert kind not in fixed or gate == fixed[kind]
    if rule.carry == "coupled":
        np.testing.assert_allclose(transform + carry, 1, rtol=1e-6)
    if rule.transform == "free":
        assert 0 < transform.max() <= 0.75


@pytest.mark.parametrize("name", [n for n in BLOCK_OPTIONS if n != "plain"])
@pytest.mark.parametrize("strides", [1, 2])
def test_lesion_equals_a_transform_gate_that_is_shut(name, strides, rng):
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    block = Block(8 if strides == 1 else 16, strides=strides, **BLOCK_OPTIONS[name])
    block(x)
    randomize(block)
    parts = block.parts(x)
    shortcut = np.asarray(parts["shortcut"])
    expected = np.maximum(shortcut, 0) if block.mix_relu else shortcut
    np.testing.assert_array_equal(np.asarray(block.lesion(x)), expected)
    if block.carry_gate is not None:
        carried = shortcut * np.asarray(parts["carry_gate"])
        expected = np.maximum(carried, 0) if block.mix_relu else carried
        np.testing.assert_array_equal(np.asarray(block.lesion(x, "keep_carry")), expected)
    else:
        with pytest.raises(InputError, match="a free carry gate"):
            block.lesion(x, "keep_carry")
    if block.transform_gate is not None:
        how = "identity" if block.carry_gate is None else "keep_carry"
        set_gate(block.transform_gate, -200.0)
        np.testing.assert_array_equal(np.asarray(block(x)), np.asarray(block.lesion(x, how)))


def test_plain_block_is_left_out_where_it_keeps_the_shape(rng):
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    block = Block(8, gating="plain")
    block(x)
    np.testing.assert_array_equal(np.asarray(block.lesion(x)), np.maximum(x, 0))
    block = Block(8, gating="plain", strides=2)
    block(x)
    with pytest.raises(InputError, match="has no shortcut"):
        block.lesion(x)


@pytest.mark.parametrize("name", BLOCK_OPTIONS)
def test_block_is_rebuilt_from_its_configuration(name):
    block = Block(8, strides=2, **BLOCK_OPTIONS[name])
    again = Block.from_config(block.get_config())
    assert again.get_config() == block.get_config()
    for b in (block, again):
        b.build((None, 6, 6, 4))
    assert [w.path for w in again.weights] == [w.path for w in block.weights]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gating": "cupled"}, "Did you mean 'coupled'"),
        ({"gating": None}, "Expected `gating`"),
        ({"gate_type": "1x1"}, "Expected `gate_type`"),
        ({"block_type": "bottlneck"}, "Did you mean 'bottleneck'"),
        ({"normalization": "layer"}, "Expected `normalization`"),
        ({"activation_order": "both"}, "Expected `activation_order`"),
        ({"shortcut": "option_a"}, "Expected `shortcut`"),
        ({"strides": 0}, "Expected `strides`"),
        ({"strides": True}, "Expected `strides`"),
        ({"transform_bias": float("nan")}, "Expected `transform_bias`"),
        ({"transform_relu": 1}, "Expected `transform_relu`"),
        ({"epsilon": -1e-5}, "Expected `epsilon`"),
    ],
    ids=str,
)
def test_impossible_options_are_rejected(options, message):
    with pytest.raises(InputError, match=message):
        Block(8, **options)


@pytest.mark.parametrize("filters", [0, -1, 1.5, "8", None, 10_000_000, True])
def test_impossible_filters_are_rejected(filters):
    with pytest.raises(InputError, match="Expected `filters`"):
        Block(filters)


def test_padding_shortcut_cannot_remove_channels():
    with pytest.raises(InputError, match="to add channels"):
        Block(4, shortcut="pad").build((None, 8, 8, 8))
    # A plain block has no shortcut, so nothing is asked of it.
    Block(4, shortcut="pad", gating="plain").build((None, 8, 8, 8))


def test_mixed_precision_computes_in_bfloat16_with_float32_gates(rng):
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    block = Block(8, gating="full", dtype="mixed_bfloat16")
    y = block(x)
    parts = block.parts(keras.ops.cast(x, "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(parts["transform_gate"].dtype) == "float32"
    narrow = np.asarray(keras.ops.cast(y, "float32"))
    wide = Block(8, gating="full")
    wide.build(x.shape)
    for ours, theirs in zip(wide.weights, block.weights, strict=True):
        ours.assign(theirs)
    np.testing.assert_allclose(narrow, np.asarray(wide(x)), rtol=0.1, atol=0.1)
