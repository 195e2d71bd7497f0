"""Networks made of schedules, and pruning."""

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, analysis, data, evaluation
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.pruning import rank, recalibrate
from keras_unrolled.analysis.running import run_step
from tests.analysis.conftest import blocks_of, make


@pytest.mark.slow
@pytest.mark.parametrize("order", ["post", "pre"])
@pytest.mark.parametrize("gating", ["residual", "full", "plain"])
def test_built_network_computes_the_schedule(gating, order, images):
    model = make(gating, activation_order=order) if order == "post" else pre(gating)
    stack = analysis.as_stack(model)
    schedule = stack.schedule().lesion("stage1_block3").swap("stage1_block1", "stage1_block2")
    schedule = schedule.repeat("stage2_block3", 3)
    new = schedule.build()
    assert new.backbone.stackwise_num_blocks == [2, 5]
    runner = Runner(stack)
    x = runner(stack.stem, keras.ops.convert_to_tensor(images))
    for step in schedule.steps:
        x = run_step(stack, step, x, lambda i, piece, x, how: runner(piece, x, how))
    expected = keras.ops.convert_to_numpy(runner(stack.head, x))
    found = keras.ops.convert_to_numpy(new(images))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def pre(gating):
    from keras_unrolled import models
    from tests.analysis.conftest import SHAPE
    from tests.nets import randomize

    options = {**SHAPE, "gating": gating, "activation_order": "pre"}
    model = models.ImageClassifier(models.ImageBackbone(**options), 5)
    randomize(model)
    return model


@pytest.mark.slow
def test_networks_that_cannot_be_built_are_rejected(images):
    stack = analysis.as_stack(make("full"))
    intact = stack.schedule()
    for schedule in (
        intact.lesion("stage1_block1", "keep_carry"),
        intact.lesion("stage2_block1"),
        intact.parallel(["stage1_block1", "stage1_block2"]),
    ):
        with pytest.raises(InputError, match="runs blocks in some order"):
            schedule.build()
    none = intact.lesion("stage1_block1").lesion("stage1_block2").lesion("stage1_block3")
    with pytest.raises(InputError, match="Stage 1 has none left"):
        none.build()
    with pytest.raises(InputError, match="without layer dropout"):
        analysis.as_stack(make(layer_dropout=0.5)).schedule().build()
    with pytest.raises(InputError, match="Expected `keep`"):
        analysis.prune_depth(make(), 1, images)


@pytest.mark.slow
def test_block_that_does_nothing_is_pruned_first(images):
    model = make("residual")
    idle = blocks_of(model)["stage1_block2"]
    for weight in (idle.transform.norms[-1].gamma, idle.transform.norms[-1].beta):
        weight.assign(np.zeros(idle.output_filters))
    recalibrate(model, images, 30)  # as in a trained network
    for by in ("influence", "lesion"):
        assert rank(model, images, by=by)[0] == "stage1_block2"
    new = analysis.prune_depth(model, 5, images, recalibrated=False)
    assert new.backbone.stackwise_num_blocks == [2, 3]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(new(images)),
        keras.ops.convert_to_numpy(model(images)),
        rtol=1e-5,
        atol=1e-5,
    )
    assert len(rank(model, images)) == 4  # a block remains in each stage


@pytest.mark.slow
def test_pruned_preset_loads_again(tmp_path):
    sample = data.load_sample()
    model = ku.from_preset("highway_bn_cifar10")
    before = evaluation.accuracy(evaluation.predict(model, sample.images), sample.labels)
    rough = analysis.prune_depth(model, 7, sample.images[:500], recalibrated=False)
    new = analysis.prune_depth(model, 7, sample.images[:500])
    scores = [
        evaluation.accuracy(evaluation.predict(m, sample.images), sample.labels)
        for m in (rough, new)
    ]
    assert scores[0] < scores[1] < before
    assert scores[1] > before - 0.05
    ku.save_preset(new, tmp_path / "pruned", description="pruned")
    again = ku.from_preset(tmp_path / "pruned")
    np.testing.assert_array_equal(
        again.predict(sample.images[:20], verbose=0), new.predict(sample.images[:20], verbose=0)
    )
    record = ku.load_record(tmp_path / "pruned")
    assert record.source["name"] == "highway_bn_cifar10"
    assert record.metrics == ()
