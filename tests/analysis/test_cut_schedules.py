"""Schedules of foreign nets, compared with networks that are built so."""

import keras
import numpy as np
import pytest

from keras_unrolled.analysis.running import run_schedules
from keras_unrolled.analysis.stack import as_stack
from tests.analysis import foreign_nets as nets


def score(scores, intact, labels):
    """Accuracy, loss, divergence from the intact network and agreement with it, from logits."""

    def log_softmax(x):
        x = np.asarray(keras.ops.convert_to_numpy(x), "float64")
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    p, q = log_softmax(intact), log_softmax(scores)
    return {
        "accuracy": np.mean(q.argmax(-1) == labels),
        "loss": -np.mean(q[np.arange(len(labels)), labels]),
        "kl": np.mean((np.exp(p) * (p - q)).sum(-1)),
        "agreement": np.mean(q.argmax(-1) == p.argmax(-1)),
    }


def check(row, expected):
    for column, value in expected.items():
        assert row[column] == pytest.approx(value, rel=1e-4, abs=1e-6), column


def exchange(model, first, second):
    """Gives each of two blocks the weights of the other."""
    for kind in ("conv1", "norm1", "conv2", "norm2"):
        a, b = (model.get_layer(f"{name}_{kind}") for name in (first, second))
        weights = a.get_weights()
        a.set_weights(b.get_weights())
        b.set_weights(weights)


@pytest.fixture
def data(rng):
    images = rng.normal(size=(40, nets.SIZE, nets.SIZE, 3)).astype("float32")
    return images, rng.integers(0, nets.CLASSES, 40)


def test_schedules_score_as_networks_that_are_built_so(data):
    images, labels = data
    stack = as_stack(nets.hand_written())
    schedule = stack.schedule()
    table = run_schedules(
        stack,
        data,
        {
            "lesion": schedule.lesion("stage1_block2"),
            "transition": schedule.lesion("stage2_block1"),
            "swap": schedule.swap("stage1_block1", "stage1_block3"),
        },
        batch_size=16,
    )
    intact = stack.model(images, training=False)
    changed = {name: nets.hand_written() for name in table["schedule"]}
    nets.silence(changed["lesion"].get_layer("b_norm2"))
    nets.silence(changed["transition"].get_layer("d_norm2"))
    exchange(changed["swap"], "a", "c")
    for row in table:
        scores = changed[row["schedule"]](images, training=False)
        check(row, score(scores, intact, labels))
        assert (row["kl"] > 1e-3) == (row["schedule"] != "intact")


def test_recalibrated_schedule_scores_as_a_network_with_new_statistics(data, rng):
    images, labels = data
    others = rng.normal(0.5, 2, size=(24, *images.shape[1:])).astype("float32")
    stack = as_stack(nets.hand_written())
    schedules = {"lesion": stack.schedule().lesion("stage1_block2")}
    before = [keras.ops.convert_to_numpy(v) for v in stack.model.variables]
    table = run_schedules(stack, data, schedules, recalibrate=others, batch_size=24)
    for old, variable in zip(before, stack.model.variables):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(variable))
    whole, changed = nets.hand_written(), nets.hand_written()
    nets.silence(changed.get_layer("b_norm2"))
    for network in (whole, changed):
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        network(others, training=True)
    expected = score(changed(images, training=False), whole(images, training=False), labels)
    (row,) = table.where(schedule="lesion", recalibrated=True)
    check(row, expected)
    (row,) = table.where(schedule="lesion", recalibrated=False)
    assert row["kl"] != pytest.approx(expected["kl"], rel=0.01)


@pytest.mark.parametrize("pre", [False, True])
def test_classifier_of_keras_hub_is_lesioned_on_raw_images(pre, rng):
    images = rng.integers(0, 256, (12, 30, 26, 3)).astype("uint8")
    labels = rng.integers(0, nets.CLASSES, 12)
    model = nets.hub(pre, preprocessor=nets.preprocessor())
    schedules = {"lesion": as_stack(model).schedule().lesion("stage2_block1")}
    stack = schedules["lesion"].stack
    table = run_schedules(stack, (images, labels), schedules)
    intact = model.predict(images, verbose=0)
    (row,) = table.where(schedule="intact")
    check(row, score(intact, intact, labels))
    if pre:  # its last layer is a convolution
        kernel = model.backbone.get_layer("stack1_block0_2_conv").kernel
        kernel.assign(kernel * 0)
    else:
        nets.silence(model.backbone.get_layer("stack1_block0_2_bn"))
    (row,) = table.where(schedule="lesion")
    check(row, score(model.predict(images, verbose=0), intact, labels))
    assert row["kl"] > 1e-3
