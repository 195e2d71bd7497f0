"""Reading of weight files, compared with Keras's own."""

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError
from keras_unrolled.models.weight_files import read_arrays
from keras_unrolled.presets import weights


def make(gating="coupled", **options):
    return ku.models.highway(8, dataset="cifar", gating=gating, num_classes=3, **options)


NETWORKS = {
    "residual": lambda: ku.models.resnet(8, dataset="cifar", num_classes=3),
    "full": lambda: make("full"),
    "pre-activation": lambda: make(activation_order="pre"),
    "without normalization": lambda: make(normalization=None),
    "group normalization": lambda: make(normalization="group", stackwise_num_filters=[16, 16, 16]),
    "layer dropout": lambda: make(layer_dropout=0.2),
    "bottleneck": lambda: ku.models.resnet(50, num_classes=3),
    "folded": lambda: ku.convert.fold(make()),
    "language": lambda: ku.from_preset("highway_small_ptb"),
}


@pytest.mark.parametrize(
    "name",
    [*list(NETWORKS)[:2], *(pytest.param(n, marks=pytest.mark.slow) for n in list(NETWORKS)[2:])],
)
def test_every_array_is_found_where_keras_has_saved_it(name, tmp_path):
    model = NETWORKS[name]()
    body, head = tmp_path / "model.weights.h5", tmp_path / "task.weights.h5"
    model.backbone.save_weights(body)
    model.save_task_weights(str(head))
    own = {id(v) for v in model.backbone.weights}
    found = weights.find_places(model)
    for path, places in (
        (body, weights.find_places(model.backbone)),
        (head, {place: v for place, v in found.items() if id(v) not in own}),
    ):
        arrays = read_arrays(path)
        assert arrays.keys() == places.keys()
        for place, array in arrays.items():
            values = np.fromfile(
                path, array.dtype, np.prod(array.shape, dtype=int), offset=array.offset
            )
            expected = keras.ops.convert_to_numpy(places[place].value)
            np.testing.assert_array_equal(values.reshape(array.shape), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_loaded_weights_are_those_that_keras_loads(dtype, tmp_path, monkeypatch):
    source = make(dtype=dtype)
    for i, variable in enumerate(source.weights):
        variable.assign(np.random.default_rng(i).normal(size=variable.shape))
    path = tmp_path / "model.weights.h5"
    source.backbone.save_weights(path)
    theirs, ours = make(dtype=dtype).backbone, make(dtype=dtype).backbone
    theirs.load_weights(path)
    calls = []
    weights.load_into(
        lambda path: calls.append(path) or ours.load_weights(path),
        path,
        read_arrays(path),
        ours.weights,
        weights.find_places(ours),
    )
    # Keras writes bfloat16 as two bytes of no type, which it alone reads.
    assert len(calls) == (dtype == "bfloat16")
    for expected, received in zip(theirs.weights, ours.weights, strict=True):
        expected, received = (
            np.asarray(keras.ops.convert_to_numpy(v.value), "float64") for v in (expected, received)
        )
        np.testing.assert_array_equal(expected, received)


def test_file_that_is_cut_off_after_it_was_listed_is_refused(tmp_path):
    model = make()
    path = tmp_path / "model.weights.h5"
    model.backbone.save_weights(path)
    arrays = read_arrays(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    places = weights.find_places(model.backbone)
    with pytest.raises(InputError, match="cannot be loaded"):
        weights.load_into(None, path, arrays, model.backbone.weights, places)


def test_networks_that_await_no_weights_are_drawn(tmp_path):
    loaded = ku.from_preset("resnet_nobn_cifar10")
    assert all(keras.ops.convert_to_numpy(v.value).any() for v in loaded.trainable_variables)
    for model in (make(), ku.from_preset("resnet_nobn_cifar10", load_weights=False)):
        for stack in model.backbone.stages[0][0].stacks():
            assert keras.ops.convert_to_numpy(stack.convs[0].kernel.value).std() > 0.01
    regated = ku.from_preset("resnet_bn_cifar10", gating="coupled", num_classes=4)
    assert keras.ops.convert_to_numpy(regated.layers[-1].kernel.value).std() > 0.01
