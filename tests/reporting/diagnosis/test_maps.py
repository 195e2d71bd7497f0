import keras
import numpy as np
import pytest

from keras_unrolled import models
from keras_unrolled.reporting.diagnosis import make_maps
from tests.conftest import first_fast
from tests.reporting.nets import make_examples, make_model


def with_head(model, **options):
    """The classifier with another head of the same weights."""
    other = models.ImageClassifier(model.backbone, 4, preprocessor=model.preprocessor, **options)
    for old, new in zip(model.output_dense.weights, other.output_dense.weights):
        new.assign(old)
    return other


def read_last_block(model, image):
    """Output and transform gate of the last block, by the layers themselves."""
    x = model.backbone.get_layer("stem")(model.preprocessor(image[None]))
    blocks = [block for stage in model.backbone.stages for block in stage]
    for block in blocks[:-1]:
        x = block(x)
    parts = blocks[-1].parts(x)
    return [keras.ops.convert_to_numpy(parts[k])[0] for k in ("output", "transform_gate")]


@pytest.mark.parametrize("pooling", first_fast("max", "avg"))
def test_map_is_the_class_activation_map_where_the_head_is_a_pool_and_a_dense_layer(pooling):
    """The gradient's mean is the dense layer's weight over the places there (Zhou et al. 2016)."""
    model = with_head(make_model("coupled"), pooling=pooling)
    images, classes = make_examples(3).images, [2, 0, 3]
    weights = keras.ops.convert_to_numpy(model.output_dense.kernel)
    found = make_maps(model, list(images), classes)
    for each, image, number in zip(found, images, classes):
        state, gate = read_last_block(model, image)
        expected = np.maximum(0, state @ weights[:, number]) / state[..., 0].size
        assert each.by_class == pytest.approx(expected, abs=1e-5)
        assert each.gate == pytest.approx(gate.mean(-1), abs=1e-5)
        assert each.by_class.shape == (4, 4)
        assert np.array_equal(each.picture, image)
    assert any(each.by_class.max() > 0 for each in found)


@pytest.mark.slow
def test_gate_that_is_fixed_has_no_map():
    (found,) = make_maps(make_model("residual"), list(make_examples(1).images), [0])
    assert found.gate is None
    assert found.by_class.min() >= 0


@pytest.mark.slow
def test_map_of_probabilities_is_that_of_their_logarithm():
    model = make_model("full")
    other = with_head(model, activation="softmax")
    image = make_examples(1).images[0]
    (found,) = make_maps(other, [image], [1])
    state, _ = read_last_block(model, image)
    p = keras.ops.convert_to_numpy(other(model.preprocessor(image[None])))[0]
    kernel = keras.ops.convert_to_numpy(model.output_dense.kernel)
    weights = kernel[:, 1] - kernel @ p  # the gradient of log p of class 1 by the mean
    expected = np.maximum(0, state @ weights) / state[..., 0].size
    assert found.by_class == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_picture_is_the_part_that_the_network_sees(rng):
    model = make_model("coupled")
    image = rng.integers(0, 256, (12, 20, 3)).astype("uint8")
    (found,) = make_maps(model, [image], [0])
    assert found.picture.shape == (8, 8, 3)
    assert abs(found.picture.mean() - image[:, 4:16].mean()) < 25
