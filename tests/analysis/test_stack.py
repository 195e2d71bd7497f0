"""Networks taken apart give what they gave whole."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, analysis, models
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.observing import Trace
from keras_unrolled.layers import GATINGS
from tests.analysis.conftest import make
from tests.models.test_character_lm import TEXT, TINY
from tests.nets import OPTIONS, make_net, randomize


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("name", OPTIONS)
def test_recomposed_network_equals_the_network(name, rng):
    model = models.ImageClassifier(make_net(name), 5)
    randomize(model)
    stack, x = analysis.as_stack(model), rng.normal(size=(3, 10, 12, 3)).astype("float32")
    # Run one by one, the pieces are the very same operations.
    y = stack.stem.run(keras.ops.convert_to_tensor(x), training=False)
    for block in stack.blocks:
        y = block.run(y, training=False)
    y = to_numpy(stack.head.run(y, training=False))
    np.testing.assert_array_equal(y, to_numpy(model(x, training=False)))
    trace = Trace(stack, Runner(stack), keras.ops.convert_to_tensor(x), None, with_parts=False)
    compiled = to_numpy(trace.scores)
    np.testing.assert_allclose(compiled, y, rtol=1e-5, atol=1e-5)


def test_blocks_are_named_and_grouped():
    stack = analysis.as_stack(make("coupled"))
    first = ["stage1_block1", "stage1_block2", "stage1_block3"]
    second = ["stage2_block1", "stage2_block2", "stage2_block3"]
    assert stack.stages == [first, second]
    assert stack.movable == [first, second[1:]]
    assert stack.removable == first + second
    assert analysis.as_stack(make("plain")).removable == first + second[1:]
    assert analysis.as_stack(stack) is stack
    with pytest.raises(InputError, match="Did you mean 'stage1_block3'"):
        stack.find("stage1_block")


def test_blocks_of_one_configuration_share_what_is_compiled(images):
    stack = analysis.as_stack(make("full"))
    runner = Runner(stack)
    Trace(stack, runner, keras.ops.convert_to_tensor(images), None, with_parts=False)
    kinds = {(block.stage, block.changes_shape) for block in stack.blocks}
    assert len(runner.functions) == len(kinds) + 2  # and stem and head


@pytest.mark.parametrize("gating", GATINGS)
def test_gated_layers_of_a_language_model_are_a_stack(gating):
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    model = models.character_lm(tokenizer=tokenizer, gating=gating, **{**TINY, "num_layers": 3})
    stack = analysis.as_stack(model)
    words = TEXT.split()[:7]
    characters = stack.prepare(words)
    y = stack.stem.run(characters)
    for block in stack.blocks:
        np.testing.assert_array_equal(to_numpy(block.parts(y)["output"]), to_numpy(block.run(y)))
        if gating in ("full", "c_only"):
            carry = to_numpy(block.parts(y)["carry_gate"])
            expected = to_numpy(y) * carry
            np.testing.assert_array_equal(to_numpy(block.lesion(y, "keep_carry")), expected)
        np.testing.assert_array_equal(to_numpy(block.lesion(y)), to_numpy(y))
        y = block.run(y)
    np.testing.assert_array_equal(to_numpy(y), to_numpy(model.backbone.read(characters)))
    found = analysis.estimation_error(model, words)
    assert found["block"] == ["stage1_block1", "stage1_block2", "stage1_block3"]
    assert found["std"][-1] == 0
    assert len(analysis.gate_stats(model, words)) == 6
    with pytest.raises(InputError, match="Received a language model"):
        analysis.lesion(model, words)


def test_other_models_and_data_are_rejected(images):
    model = make()
    with pytest.raises(InputError, match="Received a str"):
        analysis.as_stack("resnet_bn_cifar10")
    with pytest.raises(InputError, match="a language model with a tokenizer"):
        analysis.as_stack(models.character_lm(num_layers=1, units=8))
    with pytest.raises(InputError, match="logits or probabilities"):
        analysis.as_stack(models.ImageClassifier(make().backbone, 5, activation="sigmoid"))
    for labels in (np.zeros(3, int), np.full(30, 5), np.full(30, 0.5), np.zeros((30, 5), int)):
        with pytest.raises(InputError, match="a class number from 0 to 4"):
            analysis.lesion(model, images, labels)
    for empty in (images[:0], [], None, "words"):
        with pytest.raises(InputError, match="Expected images"):
            analysis.estimation_error(model, empty)
    with pytest.raises(InputError, match="Expected labels for the readout"):
        analysis.readout(model, images, None)
