import numpy as np
import pytest

from keras_unrolled import analysis, models
from keras_unrolled.analysis import reordering
from keras_unrolled.analysis.lesion import plan_lesion
from keras_unrolled.analysis.planning import run_plans
from tests.nets import randomize


@pytest.fixture(scope="module")
def stack():
    backbone = models.ImageBackbone(
        stackwise_num_filters=[4, 8],
        stackwise_num_blocks=[3, 3],
        stackwise_num_strides=[1, 2],
        stem="cifar",
        stem_filters=4,
        gating="full",
        image_shape=(8, 8, 3),
    )
    model = models.ImageClassifier(backbone=backbone, num_classes=3)
    randomize(model)
    return analysis.as_stack(model)


@pytest.mark.slow
def test_measurements_in_one_tree_equal_those_alone(stack, rng):
    images, labels = rng.integers(0, 256, (30, 8, 8, 3)).astype("uint8"), rng.integers(0, 3, 30)
    plans = [
        plan_lesion(stack),
        reordering.plan_shuffle(stack, orders=3, seed=2),
        reordering.plan_repeat(stack, times=(2,)),
        reordering.plan_parallel(stack),
        reordering.plan_layer_dropout_curve(stack, draws=2),
    ]
    found = run_plans(stack, (images, labels), plans, recalibrate=True)
    options = {"recalibrate": True}
    expected = {
        "lesion": analysis.lesion(stack, images, labels, **options),
        "shuffle": analysis.shuffle(stack, images, labels, orders=3, seed=2, **options),
        "repeat": analysis.repeat(stack, images, labels, times=(2,), **options),
        "parallel": analysis.parallel(stack, images, labels, **options),
        "layer_dropout_curve": analysis.layer_dropout_curve(
            stack, images, labels, draws=2, **options
        ),
    }
    assert list(found) == list(expected)
    for name, table in found.items():
        assert table.columns == expected[name].columns
        assert len(table) == len(expected[name])
        for ours, alone in zip(table, expected[name]):
            for column in table.columns:
                if isinstance(ours[column], float):
                    np.testing.assert_allclose(ours[column], alone[column], atol=1e-6)
                else:
                    assert ours[column] == alone[column]


def test_key_of_the_network_as_it_is_comes_first(stack, rng):
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    found = run_plans(stack, (images, None), [plan_lesion(stack)])["lesion"]
    assert (found.rows[0]["block"], found.rows[0]["how"]) == ("none", "none")
    assert found.rows[0]["agreement"] == 1
    assert found.rows[0]["accuracy"] is None
