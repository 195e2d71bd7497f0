"""Residual nets of other people are cut into blocks that compute what the networks do."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_unrolled import InputError, convert
from keras_unrolled.analysis.stack import as_stack
from tests.analysis import foreign_nets as nets
from tests.nets import randomize

POST = {
    "Add": lambda: nets.hand_written(),
    "layers.add": lambda: nets.hand_written(add=nets.add_function, relu=layers.ReLU()),
    "operator": lambda: nets.hand_written(add=nets.add_operator, relu=ops.relu),
    "softmax": lambda: nets.hand_written(activation="softmax"),
    "attention": lambda: nets.hand_written(nets.attention_block),
    "blocks that are models": lambda: nets.hand_written(nets.as_model(nets.post_block)),
    "model in a sequential one": nets.in_sequence,
}
HUB = {
    f"KerasHub, {'pre' if pre else 'post'}, {block_type}": (pre, block_type)
    for block_type in ("basic_block", "bottleneck_block")
    for pre in (False, True)
}


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def recompose(stack, x, training=False):
    x = stack.stem.run(x, training=training)
    for block in stack.blocks:
        x = block.run(x, training=training)
    return stack.head.run(x, training=training)


def check_recomposition(stack, x):
    expected = to_numpy(stack.model(x, training=False))
    np.testing.assert_array_equal(to_numpy(recompose(stack, x)), expected)
    assert np.ptp(expected) > 0


def draw(rng, size=nets.SIZE, n=5, channels=3):
    return rng.normal(size=(n, size, size, channels)).astype("float32")


@pytest.mark.parametrize("name", POST)
def test_recomposed_network_equals_the_model(name, rng):
    stack = as_stack(POST[name]())
    check_recomposition(stack, draw(rng))
    assert stack.stages == [
        ["stage1_block1", "stage1_block2", "stage1_block3"],
        ["stage2_block1", "stage2_block2"],
    ]
    assert [block.changes_shape for block in stack.blocks] == [False, False, False, True, False]
    assert stack.removable == list(stack.by_name)
    assert stack.kind == ("probabilities" if name == "softmax" else "logits")
    assert (stack.num_classes, stack.channels) == (nets.CLASSES, None)


@pytest.mark.parametrize("name", HUB)
def test_recomposed_classifier_of_keras_hub_equals_the_model(name, rng):
    pre, block_type = HUB[name]
    stack = as_stack(nets.hub(pre, block_type))
    check_recomposition(stack, draw(rng, 24))
    assert [len(stage) for stage in stack.stages] == [1, 2, 1]
    # A stage's first block has a shortcut of its own, but for one that keeps 64 channels.
    first = block_type == "bottleneck_block"
    assert [block.changes_shape for block in stack.blocks] == [first, True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stages"), [("ResNet50", [3, 4, 6, 3]), ("ResNet50V2", [2, 1, 3, 1, 5, 1, 3])]
)
def test_recomposed_network_of_keras_applications_equals_the_model(name, stages, rng):
    model = getattr(keras.applications, name)(weights=None)
    randomize(model)
    stack = as_stack(model)
    check_recomposition(stack, draw(rng, 224, 1))
    assert [len(stage) for stage in stack.stages] == stages
    assert (stack.kind, stack.num_classes) == ("probabilities", 1000)


@pytest.mark.parametrize("name", list(HUB)[1:])
def test_blocks_of_keras_hub_are_those_of_the_converted_network(name, rng):
    model = nets.hub(*HUB[name])
    theirs, ours = as_stack(model), as_stack(convert.from_keras_hub(model))
    assert theirs.stages == ours.stages
    x = y = draw(rng, 24)
    for a, b in zip((theirs.stem, *theirs.blocks), (ours.stem, *ours.blocks)):
        x, y = to_numpy(a.run(x)), to_numpy(b.run(y))
        np.testing.assert_allclose(x, y, atol=1e-5 * np.abs(y).max(), err_msg=a.name)


def test_parts_are_what_the_layers_compute(rng):
    model = nets.hand_written()
    stack, x = as_stack(model), np.abs(draw(rng, channels=8))

    def layer(name, x):
        return model.get_layer(name)(x)

    for name, start in (("b", x), ("d", x)):
        h = ops.relu(layer(f"{name}_norm1", layer(f"{name}_conv1", start)))
        h = to_numpy(layer(f"{name}_norm2", layer(f"{name}_conv2", h)))
        shortcut = start
        if name == "d":
            shortcut = to_numpy(layer("d_norm0", layer("d_conv0", start)))
        block = stack.blocks["abcde".index(name)]
        parts = {k: to_numpy(v) for k, v in block.parts(start).items()}
        np.testing.assert_array_equal(parts["transform"], h)
        np.testing.assert_array_equal(parts["shortcut"], shortcut)
        np.testing.assert_array_equal(parts["mix"], h + shortcut)
        np.testing.assert_array_equal(parts["output"], np.maximum(h + shortcut, 0))
        np.testing.assert_array_equal(to_numpy(block.leave(parts["mix"])), parts["output"])
        for gate in ("transform_gate", "carry_gate"):
            assert parts[gate].shape == ()
            assert parts[gate] == 1
        assert block.gating == "residual"


def test_pre_activated_block_carries_its_input(rng):
    block = as_stack(nets.hub(pre=True)).blocks[2]
    x = draw(rng, 6, channels=8)
    parts = {k: to_numpy(v) for k, v in block.parts(x).items()}
    np.testing.assert_array_equal(parts["shortcut"], x)
    np.testing.assert_array_equal(parts["mix"], parts["transform"] + x)
    np.testing.assert_array_equal(parts["output"], parts["mix"])
    np.testing.assert_array_equal(to_numpy(block.lesion(x)), x)


@pytest.mark.parametrize("name", ["a", "d"])
def test_lesioned_block_equals_one_whose_last_norm_is_zero(name, rng):
    model = nets.hand_written()
    stack, x = as_stack(model), np.abs(draw(rng, channels=8))
    block = stack.blocks["abcde".index(name)]
    lesioned = to_numpy(block.lesion(x, "identity"))
    nets.silence(model.get_layer(f"{name}_norm2"))
    np.testing.assert_array_equal(lesioned, to_numpy(block.run(x)))
    with pytest.raises(InputError, match="free carry gate"):
        block.lesion(x, "keep_carry")


def test_inverted_residuals_without_an_addition_are_transition_blocks(rng):
    stack = as_stack(nets.linear_bottlenecks())
    check_recomposition(stack, draw(rng))
    assert [len(stage) for stage in stack.stages] == [3, 2]
    gatings = [block.gating for block in stack.blocks]
    assert gatings == ["residual"] * 3 + ["plain", "residual"]
    assert "stage2_block1" not in stack.removable
    x = draw(rng, channels=8)
    parts = stack.blocks[3].parts(x)
    np.testing.assert_array_equal(to_numpy(parts["mix"]), to_numpy(stack.blocks[3].run(x)))
    assert (float(parts["transform_gate"]), float(parts["carry_gate"])) == (1, 0)
    assert "shortcut" not in parts
    with pytest.raises(InputError, match="can be left out"):
        stack.blocks[3].lesion(x)
    with pytest.raises(InputError, match="can be left out"):
        stack.schedule().lesion("stage2_block1")


def test_mobile_net_is_cut(rng):
    model = keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=5)
    randomize(model)
    stack = as_stack(model)
    check_recomposition(stack, draw(rng, 32))
    assert len(stack.removable) == 10
    assert len(stack.blocks) == 14


@pytest.mark.parametrize(
    "head",
    [layers.Softmax(), layers.Activation("softmax", dtype="float32"), ops.softmax],
    ids=["Softmax", "Activation", "ops.softmax"],
)
def test_last_activation_decides_what_the_scores_are(head):
    assert as_stack(nets.hand_written(head=head)).kind == "probabilities"


def test_preprocessor_prepares_images(rng):
    images = rng.integers(0, 256, (3, 30, 30, 3)).astype("uint8")
    model = nets.hub(preprocessor=nets.preprocessor())
    stack = as_stack(model)
    assert stack.channels == 3
    scores = to_numpy(recompose(stack, stack.prepare(images)))
    np.testing.assert_allclose(scores, model.predict(images, verbose=0), rtol=1e-4, atol=1e-5)
    stack = as_stack(model, prepare=lambda x: x[:, :24, :24] / 255)
    assert stack.prepare(images).shape == (3, 24, 24, 3)


def test_images_of_another_shape_are_rejected(rng):
    stack = as_stack(nets.hand_written())
    assert stack.prepare(np.zeros((2, 12, 12, 3), "uint8")).dtype in (np.float32, "float32")
    with pytest.raises(InputError, match=r"shape \(n, 12, 12, 3\).*\(2, 12, 12, 1\)"):
        stack.prepare(np.zeros((2, 12, 12, 1), "uint8"))


def test_weights_are_shared_and_the_model_stays_as_it_is(rng):
    model = nets.hand_written()
    config, x = model.get_config(), draw(rng)
    stack = as_stack(model)
    assert model.get_config() == config
    pieces = [stack.stem, *stack.blocks, stack.head]
    assert {id(v) for piece in pieces for v in piece.variables} == {id(v) for v in model.variables}
    model.get_layer("b_conv1").kernel.assign(-model.get_layer("b_conv1").kernel)
    check_recomposition(stack, x)


def test_blocks_of_one_configuration_share_what_is_compiled(rng):
    keys = [block.key for block in as_stack(nets.hand_written()).blocks]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 3

    def leaky(x):
        factor = next(factors)
        return layers.Activation(lambda y: ops.maximum(y, factor * y))(x)

    factors = iter((0.1, 0.2, 0.3, 0.4, 0.5))
    stack = as_stack(nets.hand_written(relu=leaky))
    assert len({block.key for block in stack.blocks}) == 5
    check_recomposition(stack, draw(rng))


def make_small(block):
    """Two blocks of one shape, whose first input has been through an activation."""
    x = images = keras.Input((nets.SIZE, nets.SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    for _ in range(2):
        x = block(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(nets.CLASSES)(x))


def conv(x, size=3):
    return layers.Conv2D(4, size, padding="same")(x)


def test_block_ends_at_an_addition_that_is_carried_on_before_its_activation(rng):
    stack = as_stack(make_small(lambda x: x + conv(layers.ReLU()(conv(layers.ReLU()(x))))))
    check_recomposition(stack, draw(rng))
    assert [block.changes_shape for block in stack.blocks] == [False, False]
    x = draw(rng, channels=4)
    parts = stack.blocks[0].parts(x)
    np.testing.assert_array_equal(to_numpy(parts["output"]), to_numpy(parts["transform"]) + x)


def test_branch_with_fewer_kernels_is_the_shortcut(rng):
    def block(x):
        shortcut = conv(layers.AveragePooling2D(3, 1, "same")(x), 1)
        return layers.add([conv(conv(x)), layers.BatchNormalization()(shortcut)])

    stack = as_stack(make_small(block))
    check_recomposition(stack, draw(rng))
    assert all(block.changes_shape for block in stack.blocks)
    kernels = [v for v in stack.blocks[0].variables if len(v.shape) == 4]
    x = draw(rng, channels=4)
    branch = [v for v in kernels if v.shape[0] == 3]
    for kernel in branch:
        kernel.assign(kernel * 0)
    np.testing.assert_array_equal(
        to_numpy(stack.blocks[0].run(x)), to_numpy(stack.blocks[0].lesion(x))
    )


def test_models_within_a_model_may_compute_in_another_precision(rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    stack = as_stack(nets.hand_written(nets.as_model(nets.post_block), add=nets.add_operator))
    x = ops.cast(draw(rng), "float32")
    expected, found = stack.model(x, training=False), recompose(stack, x)
    assert expected.dtype == found.dtype
    np.testing.assert_array_equal(*(to_numpy(ops.cast(y, "float32")) for y in (found, expected)))


def test_images_may_be_channels_first():
    def make(x):
        y = layers.Conv2D(4, 3, padding="same", data_format="channels_first")(x)
        return layers.ReLU()(x + layers.BatchNormalization(axis=1)(y))

    x = images = keras.Input((4, None, None))
    for _ in range(2):
        x = make(x)
    x = layers.GlobalMaxPooling2D("channels_first")(x)
    stack = as_stack(keras.Model(images, layers.Dense(3)(x)))
    assert stack.stages == [["stage1_block1", "stage1_block2"]]
    assert stack.stem.variables == []
