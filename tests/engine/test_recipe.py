import pytest

from keras_unrolled import InputError
from keras_unrolled.engine import ImageRecipe, TextRecipe, read_recipe
from training import recipes

BASE = ImageRecipe(
    network={"builder": "resnet", "depth": 8, "dataset": "cifar"}, epochs=60, momentum=0.9, ema=0.9
)
EVERY = {
    (kind, name): recipe
    for module in recipes.ALL
    for kind, presets in module.RECIPES.items()
    for name, recipe in presets.items()
}


def test_settings_override_the_recipe_and_its_network():
    new = BASE.override(["epochs=7", "synchronize=false", "clip_norm=1.5", "network.depth=14"])
    assert (new.epochs, new.synchronize, new.clip_norm) == (7, False, 1.5)
    assert new.network["depth"] == 14
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
        ("milestones=3", "Expected `milestones`"),
        ("ramp=[0.5]", "Expected `ramp`"),
        ("start_size=300", "Expected `start_size`"),
        ("length=35", "the recipe"),  # of a text
        ("decay=plateau", "Expected `decay`"),
    ],
)
def test_impossible_setting_is_rejected(setting, message):
    with pytest.raises(InputError, match=message):
        BASE.override([setting])


@pytest.mark.parametrize("recipe", EVERY.values(), ids=map(str, EVERY))
def test_recipe_is_read_back_from_what_it_writes(recipe):
    assert read_recipe(recipe.to_dict()) == recipe
    record = recipe.applicable()
    assert read_recipe(record).applicable() == record


def test_record_of_a_recipe_holds_only_what_has_an_effect():
    fields = BASE.applicable()
    assert {"epochs", "learning_rate", "momentum", "augmentation", "ema"} <= fields.keys()
    for name in ("size", "ramp", "rand_augment", "mixup", "clip_norm", "milestones", "repeats"):
        assert name not in fields
    crops = BASE.override(["augmentation=crop_flip", "mixup=0.2"]).applicable()
    assert {"size", "smallest_area", "mixup"} <= crops.keys()
    text = TextRecipe(network={"builder": "character_lm"}, momentum=0.0, ema=0.0).applicable()
    assert "length" in text
    assert not {"momentum", "ema", "label_smoothing", "augmentation"} & text.keys()


def test_recipe_of_the_version_before_is_read():
    old = {
        "network": {"builder": "character_lm", "size": "small"},
        "text": "a command and an expected score",
        "decay": "plateau",
        "length": 20,
        "sampled": 0,
        "augment": True,
        "size": 224,
    }
    assert read_recipe(old) == TextRecipe(network=old["network"], length=20)
    old = {"network": {"builder": "resnet", "dataset": "imagenet"}, "augment": True, "size": 160}
    assert read_recipe(old).augmentation == "crop_flip"
    assert read_recipe(old).size == 160


def test_command_of_a_recipe_names_its_program_and_preset():
    assert recipes.command("highway56_bn_cifar10") == (
        "python training/cifar10.py --preset highway56_bn_cifar10 --data-dir DIR --workdir DIR"
    )
    assert recipes.command("resnet_bn_imagenet", "short").endswith(
        "--preset resnet_bn_imagenet --recipe short --data-dir DIR --workdir DIR"
    )
    assert recipes.command("nothing") is None
