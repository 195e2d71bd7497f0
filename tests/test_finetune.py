import keras
import pytest

import keras_unrolled as ku
from keras_unrolled.finetune import freeze


def free_norms(model):
    """Paths of the normalisation layers that training may change."""
    return {
        layer.path
        for layer in model.backbone._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    }


@pytest.mark.parametrize("name", ["highway_bn_cifar10", "resnet_bn_cifar10"])
def test_batch_normalisation_stays_frozen_and_all_else_is_free(name):
    model = ku.from_preset(name)
    freeze(model, whole=True)
    assert free_norms(model) == set()
    paths = {variable.path.split("/")[-1] for variable in model.trainable_variables}
    assert paths == {"kernel", "bias"}
    freeze(model, whole=False)
    assert len(model.trainable_variables) == 2


def test_gates_that_have_not_learned_yet_keep_their_normalisation():
    model = ku.from_preset("resnet_bn_cifar10", gating="full")
    freeze(model, whole=True)
    found = free_norms(model)
    assert len(found) == 9 * 2 * 2  # two gates a block, two norms a gate
    assert all("_gate/" in path for path in found)
    freeze(model, whole=False)
    assert free_norms(model) == set()
