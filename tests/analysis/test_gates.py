"""Mean openings of the gates, of image networks only."""

import numpy as np
import pytest
import tensorflow as tf

from keras_unrolled import InputError, analysis, models


def test_fixed_gates_have_their_fixed_values(rng):
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    for gating, expected in (("residual", (1, 1)), ("plain", (1, 0))):
        model = models.resnet(8, dataset="cifar", num_classes=2, gating=gating)
        assert set(analysis.gate_openings(model, images).values()) == {expected}
    model = models.highway(8, dataset="cifar", num_classes=2)
    for transform, carry in analysis.gate_openings(model, images).values():
        assert transform + carry == pytest.approx(1)
        assert 0 < transform < 1


def test_other_models_and_data_are_rejected():
    model = models.resnet(8, dataset="cifar", num_classes=2)
    images = np.zeros((2, 32, 32, 3), "uint8")
    with pytest.raises(InputError, match="Received a CharacterLM"):
        analysis.gate_openings(models.character_lm(num_layers=1, units=8), images)
    for wrong in (tf.data.Dataset.from_tensor_slices(images), images[0], images[:0], [images[0]]):
        with pytest.raises(InputError, match=r"array \(n, height, width, 3\)"):
            analysis.gate_openings(model, wrong)
