"""The mix as one kernel: the same values and gradients, and only where it may be used."""

import re

import keras
import numpy as np
import pytest

from keras_unrolled import layers, models
from keras_unrolled.layers.fused_mix import LEAST, LEAST_KNOWN, fused_mixing
from keras_unrolled.layers.mixing import GATINGS
from tests.conftest import first_fast
from tests.nets import randomize

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a kernel of TensorFlow's"
)
SHAPE = (4, 16, 16, 16)
assert np.prod(SHAPE) == LEAST_KNOWN


def make_block(gating, dtype="float32", **options):
    block = layers.Block(16, gating=gating, dtype=dtype, **options)
    block.build((None, None, None, 16))
    for variable in block.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, stddev=0.3, seed=len(variable.shape)))
    return block


def count_kernels(function):
    """Functions that XLA compiles, of all that a traced function calls, also within branches."""
    described = str(function.graph.as_graph_def())
    if "_XlaMustCompile" not in described:
        return 0
    return len(re.findall(r'signature \{\s+name: "[^"]*(?:plain|gradient)_\d+"', described))


def trace(block, x, fused, shape=None):
    """Output and gradients of a block, and the number of compiled functions in them."""
    weights = [variable.value for variable in block.trainable_variables]

    def run(x):
        with tf.GradientTape() as tape, fused_mixing(fused):
            tape.watch(x)
            y = block(x, training=True)
        # Of unequal weights, so that no gradient is that of a sum of normalized values, which is 0.
        factor = tf.reshape(tf.sin(tf.range(tf.size(y), dtype="float32")), tf.shape(y))
        return y, tape.gradient(y, [x, *weights], tf.cast(factor, y.dtype))

    spec = tf.TensorSpec(x.shape if shape is None else shape, x.dtype)
    function = tf.function(run).get_concrete_function(spec)
    y, gradients = function(x)
    return y, gradients, count_kernels(function)


@pytest.mark.parametrize("options", first_fast({}, {"strides": 2, "transform_relu": True}))
@pytest.mark.parametrize("gating", [gating for gating, rule in GATINGS.items() if rule.free])
def test_kernel_gives_the_values_and_gradients_of_the_mix(gating, options):
    block = make_block(gating, **options)
    x = tf.random.stateless_normal(SHAPE, (0, 1))
    y, gradients, none = trace(block, x, fused=False)
    fused_y, fused_gradients, kernels = trace(block, x, fused=True)
    assert (none, kernels) == (0, 2)  # the mix and its gradient
    np.testing.assert_allclose(fused_y, y, atol=2e-6)
    for ours, expected in zip(fused_gradients, gradients, strict=True):
        scale = np.abs(expected).max() + 1
        np.testing.assert_allclose(ours / scale, expected / scale, atol=1e-5)


@pytest.mark.parametrize("gating", ["residual", "coupled", "full"])
def test_kernel_rounds_once_in_bfloat16(gating):
    block = make_block(gating, "mixed_bfloat16")
    x = tf.cast(tf.random.stateless_normal(SHAPE, (0, 1)), "bfloat16")
    y, _, none = trace(block, x, fused=False)
    fused_y, _, kernels = trace(block, x, fused=True)
    assert (none, kernels, fused_y.dtype) == (0, 2, tf.bfloat16)
    y, fused_y = tf.cast(y, "float32"), tf.cast(fused_y, "float32")
    np.testing.assert_allclose(fused_y, y, rtol=2**-8, atol=1e-6)
    assert np.mean(fused_y == y) > 0.99


def test_sum_alone_is_left_as_it_is_in_float32():
    x = tf.random.stateless_normal(SHAPE, (0, 1))
    assert trace(make_block("residual"), x, fused=True)[2] == 0
    assert trace(make_block("plain"), x, fused=True)[2] == 0


def test_small_and_dropped_blocks_are_left_as_they_are():
    x = tf.random.stateless_normal(SHAPE, (0, 1))
    assert trace(make_block("coupled"), x[:3], fused=True)[2] == 0
    assert trace(make_block("coupled", layer_dropout=0.5), x, fused=True)[2] == 0


@pytest.mark.slow
def test_unknown_batch_uses_the_kernel_where_it_is_large():
    block = make_block("coupled")
    shape = (None, 16, 16, 16)
    for count in (4, LEAST // 16**3):
        x = tf.random.stateless_normal((count, 16, 16, 16), (0, 1))
        expected, gradients, _ = trace(block, x, fused=False)
        y, fused_gradients, kernels = trace(block, x, True, shape)
        assert kernels >= 2  # a branch may hold it twice
        np.testing.assert_allclose(y, expected, atol=5e-6)
        np.testing.assert_allclose(fused_gradients[0], gradients[0], atol=1e-5)


@pytest.fixture(scope="module")
def model():
    net = models.highway(8, dataset="cifar", preprocessor=None)
    randomize(net)
    return net


def test_predict_uses_the_kernel_and_agrees_with_a_call(model, rng):
    images = rng.normal(size=(70, 32, 32, 3)).astype("float32")
    assert LEAST < 70 * 32 * 32 * 16
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(model.predict(images, verbose=0, batch_size=70), expected, atol=1e-4)
    step = tf.function(lambda x: model.predict_step((x,)))
    spec = tf.TensorSpec((None, 32, 32, 3))
    assert count_kernels(step.get_concrete_function(spec)) == 3


def test_what_is_exported_does_not_contain_the_kernel(model, tmp_path):
    spec = tf.TensorSpec((70, 32, 32, 3))
    assert count_kernels(tf.function(model).get_concrete_function(spec)) == 0
    model.export(str(tmp_path / "net"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    assert count_kernels(loaded.signatures["serving_default"]) == 0


@pytest.mark.slow
def test_training_with_jit_compile_compiles_all_of_it_instead(rng):
    net = models.highway(8, dataset="cifar", num_classes=2, preprocessor=None)
    net.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), jit_compile=True)
    images = rng.normal(size=(8, 32, 32, 3)).astype("float32")
    history = net.fit(images, np.arange(8) % 2, batch_size=8, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    step = tf.function(lambda x: net.predict_step((x,)))
    assert count_kernels(step.get_concrete_function(tf.TensorSpec((70, 32, 32, 3)))) == 0
