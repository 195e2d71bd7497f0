"""The records of the presets of CIFAR-10 and Penn Treebank that have not been trained yet."""

from keras_unrolled import data, models
from keras_unrolled.paths import zoo
from keras_unrolled.presets.saving import describe
from training import cifar10, ptb


def make_records():
    """A `Record` by name for each preset of the recipes that has no weights in zoo/checkpoints."""
    found = {}
    for dataset, presets in (("cifar10", cifar10.PRESETS), ("ptb", ptb.PRESETS)):
        for name, recipe in presets.items():
            if (zoo() / "checkpoints" / name).is_dir():
                continue
            options = dict(recipe.network)
            build = getattr(models, options.pop("builder"))
            if dataset == "cifar10":
                options["labels"] = data.load_sample().names
            found[name] = describe(
                build(**options),
                name,
                {},
                origin="recipe only",
                description=f"A network for {dataset} that has not been trained yet",
                training={"command": recipe.text.splitlines()[0], "dataset": dataset},
                versions={},
            )
    return found
