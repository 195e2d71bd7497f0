"""What cannot be measured is rejected with what was expected."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, analysis
from keras_unrolled.analysis.running import run_schedules
from tests.analysis.conftest import make

BLOCK = "stage1_block2"


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: analysis.lesion(m, x, y, blocks=[3]), "Expected a list of blocks"),
        (lambda m, x, y: analysis.lesion(m, x, y, blocks=3), "Expected a list of blocks"),
        (lambda m, x, y: analysis.lesion(m, x, y, blocks=BLOCK), "Expected a list of blocks"),
        (lambda m, x, y: analysis.lesion(m, x, y, blocks=[[]]), "Expected a list of blocks"),
        (lambda m, x, y: analysis.lesion(m, x, y, blocks=[[BLOCK] * 2]), "Name each block once"),
        (lambda m, x, y: analysis.lesion(m, "cifar10"), "Received a str"),
        (lambda m, x, y: analysis.lesion(m, ["a", "b"]), "Expected images for this network"),
        (lambda m, x, y: analysis.lesion(m, iter(x), y), "Received a generator|iterator"),
        (lambda m, x, y: analysis.lesion(m, x, y, recalibrate=100), "Expected `recalibrate`"),
        (lambda m, x, y: run_schedules(m, (x, y, x), {}), "Received a tuple of 3"),
        (lambda m, x, y: run_schedules(m, (x, y), ["a"]), "Expected a dict from a name"),
        (lambda m, x, y: run_schedules(m, (x, y), {"a": "x"}), "Expected a dict from a name"),
        (lambda m, x, y: run_schedules(m, (x, y), {}, batch_size=0), "Expected `batch_size`"),
        (lambda m, x, y: analysis.repeat(m, x, y, times=2.5), "each of `times`"),
        (lambda m, x, y: analysis.repeat(m, x, y, times=0), "each of `times`"),
        (lambda m, x, y: analysis.layer_dropout_curve(m, x, y, counts=[100]), "each of `counts`"),
        (lambda m, x, y: analysis.readout(m, x), "Expected labels for the readout"),
        (lambda m, x, y: analysis.geometry(m, x, y, at="in"), "Expected `at`"),
        (lambda m, x, y: analysis.estimation_error(m, x)["typo"], "Expected a column of"),
    ],
)
def test_calls_that_make_no_sense(call, message, model, images, labels):
    with pytest.raises(InputError, match=message):
        call(model, images, labels)


def test_names_and_lists_of_schedules(model, images):
    stack = analysis.as_stack(model)
    intact = stack.schedule()
    for call, message in [
        (lambda: intact.parallel([]), "Expected a list of blocks"),
        (lambda: intact.parallel(BLOCK), "Expected a list of blocks"),
        (lambda: intact.order([]), "Expected a list of blocks"),
        (lambda: intact.swap(BLOCK, BLOCK), "Expected each block once"),
        (lambda: intact.lesion(BLOCK).lesion(BLOCK), "has left it out"),
        (lambda: run_schedules(stack, images, {"intact": intact}), "other names than 'intact'"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def test_tensors_tuples_and_switches_are_taken(model, images, labels, capsys):
    expected = analysis.lesion(model, images, labels, blocks=[BLOCK]).rows
    for x in (keras.ops.convert_to_tensor(images), tuple(images)):
        found = analysis.lesion(model, x, labels, blocks=(BLOCK,), recalibrate=False, progress=True)
        assert [row["loss"] for row in found] == pytest.approx([r["loss"] for r in expected])
    assert "batches" in capsys.readouterr().err
    assert len(analysis.repeat(model, images, labels, times=2)) == 1 + 5


def test_scores_stay_within_their_range(model, images, labels):
    table = analysis.lesion(model, images[:2], labels[:2], recalibrate=True)
    first = table.rows[0]
    assert first["low"] == first["high"] == first["accuracy"]  # compared with itself
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 for row in table)
    assert min(table["kl"]) >= 0
    assert np.isfinite(table["loss"]).all()
