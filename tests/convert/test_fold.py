"""Folding keeps what a network computes, with fewer layers."""

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.convert import fold, regate
from tests.conftest import first_fast
from tests.nets import OPTIONS, make_net, randomize

FOLDABLE = [name for name, options in OPTIONS.items() if options.get("normalization") != "group"]


def make(name, **overrides):
    model = models.ImageClassifier(make_net(name, **overrides), 5, labels=list("abcde"))
    randomize(model)
    return model


def score(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def count_normalizations(model):
    layers = model._flatten_layers()
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)


@pytest.mark.parametrize("name", first_fast(*FOLDABLE))
def test_scores_are_those_of_the_original(name, rng):
    images = rng.normal(size=(3, 13, 17, 3))
    model = make(name, dtype="float64")
    folded = fold(model)
    np.testing.assert_allclose(score(folded, images), score(model, images), rtol=1e-9)
    narrow = make(name)
    expected = score(narrow, images)
    found = score(fold(narrow), images)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_normalization_stays_only_where_no_convolution_comes_before():
    model = make("pre")
    assert count_normalizations(make("coupled")) > 9
    assert count_normalizations(fold(make("coupled"))) == 0
    assert count_normalizations(fold(model)) == 4  # three blocks, and before the head
    assert fold(model).backbone.normalization == "folded"
    assert fold(make("nobn")).backbone.normalization is None


@pytest.mark.parametrize(
    "case",
    first_fast(
        ("full", {}),
        ("coupled", {"activation_order": "pre"}),
        ("c_only", {"shortcut": "pad"}),
        ("full", {"normalization": None}),
        ("t_only", {"gate_type": "pointwise"}),
        ("coupled", {"transform_relu": True}),
        ("full", {"block_type": "bottleneck"}),
        ("c_only", {"activation_order": "pre", "block_type": "bottleneck"}),
    ),
    ids=str,
)
def test_regated_network_becomes_the_residual_one_again(case, rng):
    gating, options = case
    images = rng.normal(size=(2, 16, 16, 3))
    source = make("residual", dtype="float64", stackwise_num_blocks=[3, 2], **options)
    regated = regate(source, gating, transform_bias=-0.5, carry_bias=0.7)
    folded = fold(regated)
    assert folded.backbone.gating == "residual"
    assert folded.count_params() == fold(source).count_params()
    np.testing.assert_allclose(score(folded, images), score(source, images), rtol=1e-6)


def test_gates_that_have_learned_stay(rng):
    regated = regate(make("residual", dtype="float64"), "coupled")
    gate = regated.backbone.stages[1][1].transform_gate
    gate.output_layer.gamma.assign(rng.normal(size=16))
    folded = fold(regated)
    assert folded.backbone.gating == "coupled"
    images = rng.normal(size=(2, 16, 16, 3))
    np.testing.assert_allclose(score(folded, images), score(regated, images), rtol=1e-9)


def test_each_channel_of_a_constant_gate_has_its_own_opening(rng):
    regated = regate(make("residual", dtype="float64"), "full")
    for block in (block for stage in regated.backbone.stages for block in stage):
        for gate in block.gates():
            gate.output_layer.beta.assign(rng.normal(size=gate.filters[-1]))
    folded = fold(regated)
    assert folded.backbone.gating == "residual"
    images = rng.normal(size=(2, 16, 16, 3))
    np.testing.assert_allclose(score(folded, images), score(regated, images), rtol=1e-9)


def test_closed_gates_stay_where_no_kernel_could_make_up_for_them():
    regated = regate(make("residual"), "c_only")
    for block in (block for stage in regated.backbone.stages for block in stage):
        block.carry_gate.output_layer.beta.assign(np.full(block.output_filters, -30.0))
    assert fold(regated).backbone.gating == "c_only"


def test_original_is_not_changed(rng):
    model = make("coupled")
    before = [keras.ops.convert_to_numpy(v) for v in model.weights]
    folded = fold(model)
    for weight in folded.weights:
        weight.assign(np.zeros(weight.shape))
    for variable, values in zip(model.weights, before):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), values)


@pytest.mark.parametrize(
    ("make_other", "message"),
    [
        (lambda: make("group"), "group normalization .first in stem/norm"),
        (
            lambda: models.character_lm(
                character_dim=2, filter_widths=[1], num_filters=[2], num_layers=1, units=2
            ),
            "Expected an image classifier to fold. Received a CharacterLM",
        ),
        (lambda: keras.Sequential(), "Received a Sequential"),
    ],
    ids=["group", "language", "keras"],
)
def test_what_cannot_be_folded_is_rejected(make_other, message):
    with pytest.raises(InputError, match=message):
        fold(make_other())


def test_folded_preset_says_so_and_where_it_comes_from(tmp_path, rng):
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    original = ku.from_preset("highway_bn_cifar10")
    ku.save_preset(fold(original), tmp_path / "folded")
    record = ku.load_record(tmp_path / "folded")
    base = ku.load_record("highway_bn_cifar10")
    assert record.network["normalization"] == "folded"
    assert (record.origin, record.license) == ("regated", base.license)
    assert record.metrics == ()  # they were measured with the original
    assert record.source["name"] == "highway_bn_cifar10"
    assert record.source["metrics"] == list(base.metrics)
    again = ku.from_preset(tmp_path / "folded")
    np.testing.assert_allclose(
        again.predict(images, verbose=0), original.predict(images, verbose=0), atol=1e-3
    )


def test_folded_network_is_not_fine_tuned(tmp_path, rng):
    ku.save_preset(fold(make("residual")), tmp_path / "folded")
    images = rng.integers(0, 256, (8, 32, 32, 3)).astype("uint8")
    with pytest.raises(InputError, match="Start from the preset that it was folded from"):
        ku.finetune(tmp_path / "folded", (images, [0, 1] * 4), tmp_path / "out")
