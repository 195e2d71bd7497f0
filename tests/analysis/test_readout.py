"""Readouts after every block, and the probe."""

import keras
import numpy as np
import pytest

from keras_unrolled import analysis
from keras_unrolled.analysis.probe import Probe
from keras_unrolled.analysis.schedule import Schedule
from tests.analysis.conftest import blocks_of, make


@pytest.mark.slow
def test_head_is_read_out_as_by_a_schedule_that_stops(images, labels):
    model = make("coupled")
    stack = analysis.as_stack(model)
    table = analysis.readout(model, images, labels)
    assert table["block"] == ["stage2_block1", "stage2_block2", "stage2_block3"]
    schedules = {name: Schedule(stack).stop_after(name) for name in table["block"]}
    expected = analysis.run_schedules(stack, (images, labels), schedules)
    for row in table:
        (other,) = expected.where(schedule=row["block"])
        for name in ("accuracy", "loss", "kl", "agreement", "low", "high"):
            assert row[name] == pytest.approx(other[name], abs=1e-6)
    assert table["kl"][-1] == pytest.approx(0, abs=1e-9)
    assert table["macs"][-1] == model.backbone.count_macs((12, 12))


def test_probe_is_the_minimum_of_its_loss(rng):
    labels = rng.integers(0, 3, 200)
    x = rng.normal(size=(200, 4)) * [1, 10, 0.1, 1] + labels[:, None] * [1, 0, 0.1, 0] + 5
    probe = Probe(x, labels, 3, decay=1e-2)
    standardized = np.concatenate([(x - x.mean(0)) / x.std(0), np.ones((200, 1))], 1)

    def loss(weights):
        scores = standardized @ weights
        scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        return -scores[np.arange(200), labels].mean() + 0.005 * (weights[:-1] ** 2).sum()

    best = loss(probe.weights)
    for _ in range(50):
        assert loss(probe.weights + 0.01 * rng.normal(size=(5, 3))) > best
    for i, j in np.ndindex(5, 3):  # the gradient is 0
        step = np.zeros((5, 3))
        step[i, j] = 1e-4
        slope = (loss(probe.weights + step) - loss(probe.weights - step)) / 2e-4
        assert slope == pytest.approx(0, abs=2e-4)
    accuracy = (probe.log_probabilities(x).argmax(-1) == labels).mean()
    assert accuracy > 0.6
    np.testing.assert_allclose(np.exp(probe.log_probabilities(x)).sum(-1), 1)


def test_probes_read_classes_that_are_there(rng):
    # The first block's features tell the classes apart: they are in the images' brightness.
    labels = rng.integers(0, 5, 120)
    images = rng.normal(size=(120, 8, 8, 3)) * 0.1 + labels[:, None, None, None]
    images = images.astype("float32")
    model = make("residual")
    train = (images[:80], labels[:80])
    table = analysis.readout(model, images[80:], labels[80:], train=train)
    probes = table.where(readout="probe")
    assert probes["block"] == list(blocks_of(model))
    assert min(probes["accuracy"]) > 0.9
    pooled = keras.ops.convert_to_numpy(
        model.backbone.forward_intermediates(images)["stage1_block2"]
    ).mean((1, 2))
    probe = Probe(pooled[:80], labels[:80], 5)
    answers = probe.log_probabilities(pooled[80:])
    expected = -answers[np.arange(40), labels[80:]].mean()
    assert probes.where(block="stage1_block2")["loss"] == pytest.approx([expected], abs=1e-4)
