import pytest

from keras_unrolled import InputError
from training.cifar10 import PRESETS as RECIPES
from training.recipe import Recipe

BASE = Recipe(network={"builder": "resnet", "depth": 8, "dataset": "cifar"})


def test_settings_override_the_recipe_and_its_network():
    new = BASE.override(["epochs=7", "augment=false", "clip_norm=1.5", "network.depth=14"])
    assert (new.epochs, new.augment, new.clip_norm, new.network["depth"]) == (7, False, 1.5, 14)
    assert BASE.override(["clip_norm=None"]).clip_norm is None
    assert BASE.epochs != 7
    assert BASE.network["depth"] == 8


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "key=value"),
        ("epoch=3", "Did you mean 'epochs'"),
        ("epochs=0", "Expected `epochs`"),
        ("epochs=many", "Expected `epochs`"),
        ("learning_rate=-1", "Expected `learning_rate`"),
        ("warmup_epochs=1000", "Expected `warmup_epochs`"),
        ("precision=float8", "Expected `precision`"),
        ("ema=1.0", "Expected `ema`"),
    ],
)
def test_an_impossible_setting_is_refused(setting, message):
    with pytest.raises(InputError, match=message):
        BASE.override([setting])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_with_its_command(name):
    assert RECIPES[name].text.startswith(f"python training/cifar10.py --preset {name}")
