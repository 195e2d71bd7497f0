import numpy as np
import pytest
import tensorflow as tf

import keras_unrolled as ku
from keras_unrolled import InputError, data, evaluation, models
from keras_unrolled.convert import regate
from keras_unrolled.finetuning.run import finetune
from tests.conftest import first_fast
from tests.nets import randomize

SHAPE = {
    "stackwise_num_filters": [8, 16],
    "stackwise_num_blocks": [3, 2],
    "stackwise_num_strides": [1, 2],
    "stem": "cifar",
    "stem_filters": 8,
}


def make(**options):
    backbone = models.ImageBackbone(**{**SHAPE, **options})
    model = models.ImageClassifier(backbone, 5, labels=list("abcde"))
    randomize(model)
    return model


def relative_difference(a, b, x):
    a, b = (np.asarray(model(x, training=False)) for model in (a, b))
    return np.abs(a - b).max() / np.abs(a).max()


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"activation_order": "pre"},
        {"block_type": "bottleneck"},
        {"block_type": "bottleneck", "activation_order": "pre"},
        {"shortcut": "pad"},
        {"shortcut": "pad", "activation_order": "pre"},
        {"normalization": None},
        {"normalization": None, "activation_order": "pre"},
        {"normalization": "group"},
        {"gate_type": "pointwise"},
        {"transform_relu": True},
    ],
    ids=str,
)
def old(request):
    """A Residual net in float64."""
    return make(dtype="float64", **request.param)


@pytest.fixture(scope="module")
def narrow():
    """A Residual net in float32."""
    return make()


GATINGS = first_fast("coupled", "full", "c_only", "t_only")


@pytest.mark.parametrize("gating", GATINGS)
def test_function_stays_the_same(gating, old, rng):
    x = rng.normal(size=(4, 12, 12, 3))
    new = regate(old, gating)
    assert new.backbone.gating == gating
    assert new.labels == old.labels
    assert relative_difference(old, new, x) < 1e-9


@pytest.mark.parametrize("gating", GATINGS)
def test_function_stays_the_same_in_float32(gating, narrow, rng):
    x = rng.normal(size=(4, 12, 12, 3))
    assert relative_difference(narrow, regate(narrow, gating), x) < 1e-4


def test_conversion_gives_the_same_weights_every_time(narrow):
    first, second = (regate(narrow, "full") for _ in range(2))
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0])
def test_any_bias_will_do(bias, rng):
    x = rng.normal(size=(4, 12, 12, 3))
    old = make(dtype="float64")
    new = regate(old, "full", transform_bias=bias, carry_bias=-bias)
    assert relative_difference(old, new, x) < 1e-9
    gates = new.backbone.forward_intermediates(x)
    np.testing.assert_allclose(gates["stage1_block2/transform_gate"], 1 / (1 + np.exp(-bias)))


def test_gates_learn_from_there(rng):
    new = regate(make(), "full")
    x = tf.constant(rng.normal(size=(8, 12, 12, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(new(x, training=True) ** 2)
    block = new.backbone.stages[0][1]
    gammas = [g.norms[-1].gamma.value for g in (block.transform_gate, block.carry_gate)]
    for gradient in tape.gradient(loss, gammas):
        assert float(tf.reduce_max(tf.abs(gradient))) > 1e-6


@pytest.mark.slow
def test_trained_preset_keeps_its_answers():
    sample = data.load_sample().images[:300]
    old = ku.from_preset("resnet_bn_cifar10")
    expected = evaluation.predict(old, sample)
    for gating in ("coupled", "full", "c_only", "t_only"):
        scores = evaluation.predict(regate(old, gating), sample)
        assert np.abs(scores - expected).max() / np.abs(expected).max() < 1e-4
        np.testing.assert_array_equal(scores.argmax(-1), expected.argmax(-1))


@pytest.mark.slow
def test_thousand_test_images_are_classified_as_before(tfds_dir):
    images = data.load_cifar10(tfds_dir, "test[:1000]").images
    old = ku.from_preset("resnet_bn_cifar10")
    expected = evaluation.predict(old, images)
    found = evaluation.predict(regate(old, "full"), images)
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4
    np.testing.assert_array_equal(found.argmax(-1), expected.argmax(-1))


@pytest.mark.slow
def test_fine_tuning_moves_the_gates_and_keeps_the_accuracy(tfds_dir, tmp_path):
    test = data.load_cifar10(tfds_dir, "test[:500]")
    base = tmp_path / "base"
    ku.save_preset(ku.from_preset("resnet_bn_cifar10", gating="coupled"), base)
    model = ku.from_preset(base)
    gates = [block.transform_gate for stage in model.backbone.stages for block in stage]
    assert all(gate.is_constant() for gate in gates)
    accuracy = evaluation.accuracy(evaluation.predict(model, test.images), test.labels)
    train = data.load_cifar10(tfds_dir, "train[:1000]")
    finetune(base, train, tmp_path / "tuned", epochs=2, batch_size=32, learning_rate=1e-3)
    model = ku.from_preset(tmp_path / "tuned")
    gates = [block.transform_gate for stage in model.backbone.stages for block in stage]
    assert not any(gate.is_constant() for gate in gates)
    # The gates depend on their input now.
    found = model.backbone.forward_intermediates(model.preprocessor(test.images[:100]))
    openings = [np.asarray(x) for name, x in found.items() if name.endswith("transform_gate")]
    assert len(openings) == 9
    assert min(opening.std() for opening in openings) > 1e-5
    tuned = evaluation.accuracy(evaluation.predict(model, test.images), test.labels)
    assert tuned >= accuracy - 0.15  # with a new head that has seen a thousand images


def test_networks_that_cannot_be_regated_are_rejected():
    with pytest.raises(InputError, match="Start from a Residual net"):
        regate(make(gating="coupled"))
    with pytest.raises(InputError, match="Expected `gating`"):
        regate(make(), "plain")
    with pytest.raises(InputError, match="Use a post-activated network"):
        regate(make(activation_order="pre", normalization="group"))
