import pytest

import keras_unrolled as ku
from training.recipes.imagenet import RECIPES
from zoo import hours


def test_short_recipe_costs_the_minutes_that_ffcv_states():
    recipe = RECIPES["short"]["resnet_bn_imagenet"].override(["epochs=88"])
    macs = ku.load_record("resnet_bn_imagenet").macs
    minutes = hours.count_operations(recipe, macs) / hours.A100 / 8 / 60
    assert minutes == pytest.approx(77.2, abs=1)


def test_table_has_a_row_for_each_recipe_and_network():
    lines = hours.make_hours_table().splitlines()
    assert len(lines) == 2 + 4 * 2
    assert lines[2].startswith("| classic, 90 epochs | resnet | ")
    assert lines[2].count("|") == lines[0].count("|")
