"""Blocks in other schedules, compared with networks that are rebuilt and run in NumPy."""

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, analysis
from keras_unrolled.analysis.running import run_schedules
from tests.analysis.conftest import blocks_of, make, run_in_numpy
from tests.layers.test_block import reference

NAMES = [f"stage{s}_block{b}" for s in (1, 2) for b in (1, 2, 3)]


def log_softmax(scores):
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def scores_in_numpy(logits, intact, labels):
    found, base = log_softmax(logits), log_softmax(intact)
    return {
        "n": len(labels),
        "accuracy": (logits.argmax(-1) == labels).mean(),
        "loss": -found[np.arange(len(labels)), labels].mean(),
        "kl": (np.exp(base) * (base - found)).sum(-1).mean(),
        "agreement": (logits.argmax(-1) == intact.argmax(-1)).mean(),
    }


def check(row, logits, intact, labels):
    expected = scores_in_numpy(logits, intact, labels)
    assert {k: row[k] for k in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("gating", ["residual", "coupled", "full", "plain"])
def test_every_schedule_equals_the_network_in_numpy(gating, images, labels):
    model = make(gating)
    stack, blocks = analysis.as_stack(model), blocks_of(model)
    intact = stack.schedule()

    def added(x, names):  # blocks side by side, of a post-activated network
        changes = []
        for name in names:
            block = blocks[name]
            block.mix_relu = False
            mixed = reference(x, block)
            block.mix_relu = True
            changes.append(mixed - x)
        return np.maximum(x + sum(changes), 0)

    first = NAMES[0]
    cases = {
        "lesion": (intact.lesion(NAMES[1]), [n for n in NAMES if n != NAMES[1]]),
        "swap": (
            intact.swap("stage1_block1", "stage1_block3"),
            [NAMES[2], NAMES[1], NAMES[0], *NAMES[3:]],
        ),
        "order": (
            intact.order(["stage1_block2", "stage1_block3", "stage1_block1"]),
            [NAMES[1], NAMES[2], NAMES[0], *NAMES[3:]],
        ),
        "repeat": (intact.repeat(NAMES[4], 3), [*NAMES[:4], *[NAMES[4]] * 3, NAMES[5]]),
        "parallel": (
            intact.parallel(NAMES[1:3]),
            [first, lambda x: added(x, NAMES[1:3]), *NAMES[3:]],
        ),
        "stop": (intact.stop_after(NAMES[4]), NAMES[:5]),
    }
    if gating != "plain":
        projected = blocks[NAMES[3]].projection
        still = [lambda x: relu_of(projected, x), *NAMES[4:]]
        cases["transition"] = (intact.lesion(NAMES[3]), [*NAMES[:3], *still])
    found = run_schedules(
        stack, (images, labels), {name: case[0] for name, case in cases.items()}, batch_size=7
    )
    whole = run_in_numpy(model, images, NAMES)
    check(found.where(schedule="intact").rows[0], whole, whole, labels)
    for name, (_, steps) in cases.items():
        (row,) = found.where(schedule=name)
        check(row, run_in_numpy(model, images, steps), whole, labels)


def relu_of(stack, x):
    from tests.layers.test_block import reference_stack, relu

    return relu(reference_stack(x, stack))


@pytest.mark.slow
def test_schedules_do_not_change_the_network(images, labels):
    model = make("coupled")
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.weights]
    expected = keras.ops.convert_to_numpy(model(images))
    analysis.lesion(model, images, labels, recalibrate=True)
    analysis.shuffle(model, images, labels, recalibrate=images[:10])
    for old, weight in zip(before, model.weights):
        np.testing.assert_array_equal(old, keras.ops.convert_to_numpy(weight))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(images)), expected)
    for stage in model.backbone.stages:
        assert all(b.transform.norms[0].momentum == 0.9 for b in stage)


def test_common_beginnings_are_run_once(images, monkeypatch):
    from keras_unrolled.analysis.compiled import Runner

    stack, calls = analysis.as_stack(make()), []
    call = Runner.__call__

    def counted(self, piece, *rest, **options):
        calls.append(piece.name)
        return call(self, piece, *rest, **options)

    monkeypatch.setattr(Runner, "__call__", counted)
    schedules = {name: stack.schedule().lesion(name) for name in stack.removable}
    run_schedules(stack, images, schedules, batch_size=30)
    # The intact network, then 6 + 5 + ... + 1 after each block that is left out.
    assert len([c for c in calls if c.startswith("stage")]) == 6 + 21


def recalibrate_by_hand(network, images):
    """Gives a network the mean statistics of batches of ten, and returns its logits."""
    order, rows = np.random.default_rng(0).permutation(len(images)), []
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    for start in range(0, len(images), 10):
        network(images[order[start : start + 10]], training=True)
        rows.append([keras.ops.convert_to_numpy(w) for w in network.non_trainable_variables])
    for variable, values in zip(network.non_trainable_variables, zip(*rows)):
        if "moving" in variable.path:
            variable.assign(np.mean(values, 0))
    return np.asarray(keras.ops.convert_to_numpy(network(images, training=False)), "float64")


@pytest.mark.slow
@pytest.mark.parametrize("gating", ["residual", "full"])
def test_recalibration_gives_the_statistics_of_the_changed_network(gating, images, labels):
    model = make(gating)
    stack = analysis.as_stack(model)
    schedule = stack.schedule().lesion(NAMES[1])
    found = run_schedules(
        stack, (images, labels), {"lesion": schedule}, recalibrate=images, batch_size=10
    )
    as_it_is = np.asarray(keras.ops.convert_to_numpy(model(images)), "float64")
    whole = recalibrate_by_hand(stack.schedule().build(), images)
    changed = recalibrate_by_hand(schedule.build(), images)
    # A recalibrated network is compared with the recalibrated one, and that with the network as it is.
    for name, logits, base in (("intact", whole, as_it_is), ("lesion", changed, whole)):
        (row,) = found.where(schedule=name, recalibrated=True)
        expected = scores_in_numpy(logits, base, labels)
        assert {k: row[k] for k in expected} == pytest.approx(expected, abs=1e-4)
        before = (base.argmax(-1) == labels).mean()
        assert row["difference"] == pytest.approx(row["accuracy"] - before)
        assert row["low"] <= row["accuracy"] <= row["high"]


@pytest.mark.slow
def test_recalibration_of_an_intact_network_restores_its_statistics(images, labels):
    model = make("coupled")
    expected = analysis.lesion(model, images, labels, blocks=[]).rows[0]
    for layer in model._flatten_layers():  # the statistics of these very images
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images[np.random.default_rng(0).permutation(30)], training=True)
    right = analysis.lesion(model, images, labels, blocks=[]).rows[0]
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 1.0)
            layer.moving_variance.assign(layer.moving_variance * 3.0)
    found = analysis.lesion(model, images, labels, blocks=[], recalibrate=True)
    (again,) = found.where(recalibrated=True)
    assert again["loss"] == pytest.approx(right["loss"], abs=1e-5)
    assert again["loss"] != pytest.approx(expected["loss"], abs=1e-3)


@pytest.mark.slow
def test_frozen_networks_and_layer_dropout_are_recalibrated_alike(images, labels):
    model = make("coupled", layer_dropout=0.5)
    tables = [analysis.lesion(model, images, labels, recalibrate=True) for _ in range(2)]
    model.trainable = False
    tables.append(analysis.lesion(model, images, labels, recalibrate=True))
    assert tables[0].rows == tables[1].rows == tables[2].rows  # nothing is drawn at random
    changed = tables[0].where(recalibrated=True)["loss"]
    assert changed != pytest.approx(tables[0].where(recalibrated=False)["loss"], abs=1e-3)
    for layer in model._flatten_layers():
        assert "call" not in vars(layer)
        assert not layer.trainable


@pytest.mark.slow
def test_mixed_precision_gives_nearly_the_same(images, labels):
    wide, narrow = make("full"), make("full", dtype="mixed_bfloat16")
    for a, b in zip(wide.weights, narrow.weights, strict=True):
        b.assign(a)
    for row, other in zip(*(analysis.lesion(m, images, labels) for m in (wide, narrow))):
        assert other["loss"] == pytest.approx(row["loss"], rel=0.05, abs=0.05)
    errors = [analysis.estimation_error(m, images)["normalized"] for m in (wide, narrow)]
    assert errors[1] == pytest.approx(errors[0], rel=0.05, abs=0.02)


def test_gate_that_is_shut_equals_the_lesion_to_the_bit(images, labels):
    from tests.layers.test_block import set_gate

    model = make("coupled")
    stack = analysis.as_stack(model)
    found = run_schedules(stack, (images, labels), {"l": stack.schedule().lesion(NAMES[2])})
    set_gate(blocks_of(model)[NAMES[2]].transform_gate, -200.0)
    shut = run_schedules(stack, (images, labels), {})
    for name in ("accuracy", "loss"):
        assert found.where(schedule="l")[name] == shut[name]


def test_blocks_that_add_nothing_can_be_left_out(images, labels):
    model = make()
    for block in blocks_of(model).values():
        block.transform.norms[-1].gamma.assign(np.zeros(block.output_filters))
        block.transform.norms[-1].beta.assign(np.zeros(block.output_filters))
    for row in analysis.lesion(model, images, labels):
        assert (row["kl"], row["agreement"], row["difference"]) == (0, 1, 0)


def test_interval_is_that_of_the_paired_change(images, labels):
    from keras_unrolled.evaluation.comparison import compare_answers

    model = make()
    whole = run_in_numpy(model, images, NAMES).argmax(-1) == labels
    changed = run_in_numpy(model, images, NAMES[:1] + NAMES[2:]).argmax(-1) == labels
    expected = compare_answers(changed, whole)
    (row,) = analysis.lesion(model, images, labels, blocks=[NAMES[1]]).where(block=NAMES[1])
    base = whole.mean()
    assert row["difference"] == pytest.approx(expected["difference"])
    assert row["low"] == pytest.approx(base + expected["low"])
    assert row["high"] == pytest.approx(base + expected["high"])


@pytest.mark.slow
def test_without_labels_only_agreement_is_measured(images):
    table = analysis.lesion(make("full"), images, recalibrate=True)
    assert {row["how"] for row in table} == {"none", "identity", "keep_carry"}
    assert set(table["accuracy"]) == set(table["loss"]) == set(table["low"]) == {None}
    assert all(0 <= row["agreement"] <= 1 and row["kl"] >= -1e-9 for row in table)


def test_impossible_schedules_are_rejected(images):
    plain, stack = analysis.as_stack(make("plain")).schedule(), analysis.as_stack(make())
    intact = stack.schedule()
    for call, message in [
        (lambda: intact.lesion("stage9_block1"), "Expected a block of the network"),
        (lambda: plain.lesion("stage2_block1"), "a transition block of a plain network"),
        (lambda: intact.lesion(NAMES[0], "keep_carry"), "a free carry gate"),
        (lambda: intact.lesion(NAMES[0], "zero"), "Expected `how`"),
        (lambda: intact.swap("stage2_block1", "stage2_block2"), "can only be where it is"),
        (lambda: intact.swap("stage1_block1", "stage2_block2"), "Expected blocks of one stage"),
        (lambda: intact.swap(NAMES[0], NAMES[0]), "each block once"),
        (lambda: intact.repeat("stage2_block1", 2), "keeps the shape"),
        (lambda: intact.repeat(NAMES[0], 0), "Expected `times`"),
        (lambda: intact.parallel([NAMES[0], NAMES[2]]), "follow each other"),
        (lambda: intact.order("stage1_block1"), "Expected a list of blocks"),
        (lambda: intact.stop_after("stage1_block1"), "a block of the last stage"),
        (lambda: intact.lesion(NAMES[1]).swap(NAMES[1], NAMES[0]), "Found it 0 times"),
        (lambda: run_schedules(stack, images, {"a": plain}), "schedules of this stack"),
    ]:
        with pytest.raises(InputError, match=message):
            call()
    single = make(stackwise_num_blocks=[1, 1])
    with pytest.raises(InputError, match="two blocks of one shape"):
        analysis.shuffle(single, images)


@pytest.mark.slow
def test_orders_and_their_distance_are_counted(images, labels):
    table = analysis.shuffle(make(), images, labels)
    rows = {(row["stage"], row["order"]): row for row in table}
    assert len(rows) == 1 + 5 + 1  # the network as it is, stage 1, stage 2
    assert rows[1, "3-2-1"]["discordant"] == 3
    assert rows[1, "3-2-1"]["kind"] == "swap"
    assert rows[1, "3-2-1"]["tau"] == -1
    assert rows[1, "2-3-1"]["discordant"] == 2
    assert rows[1, "2-3-1"]["kind"] == "order"
    assert rows[2, "1-3-2"]["tau"] == pytest.approx(1 / 3)
    deep = make(stackwise_num_blocks=[7, 1])
    drawn = analysis.shuffle(deep, images, orders=6, seed=1)
    assert len(drawn.where(kind="swap")) == 21
    assert 4 <= len(drawn.where(kind="order")) <= 6
    again = analysis.shuffle(deep, images, orders=6, seed=1)
    assert again.rows == drawn.rows


@pytest.mark.slow
def test_repeats_neighbors_and_random_sets_have_their_rows(images, labels):
    model = make("coupled")
    table = analysis.repeat(model, images, labels, times=(2, 4))
    assert len(table) == 1 + 2 * 5
    table = analysis.parallel(model, images, labels)
    assert "stage1_block1+stage1_block2+stage1_block3" in table["blocks"]
    assert len(table) == 1 + 3 + 1
    table = analysis.layer_dropout_curve(model, images, labels, counts=(1, 3), draws=2)
    assert {row["count"] for row in table} == {0, 1, 3}
    assert all(row["blocks"].count("+") == row["count"] - 1 for row in table if row["count"])
