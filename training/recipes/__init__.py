"""Recipes: what every preset is trained by, one file for each data set.

Each file has PROGRAM, DATASET and RECIPES, a dict from a recipe's name, the default first, to a
dict from a preset's name to its `Recipe`.
"""

from training.recipes import cifar10, imagenet, ptb

ALL = (cifar10, imagenet, ptb)


def command(name, recipe=None):
    """The command that trains the preset of a name, or None for an unknown name.

    Args:
        name: string.
        recipe: optional string, the recipe's name; None means the data set's first.
    """
    for module in ALL:
        default = next(iter(module.RECIPES))
        if name in module.RECIPES.get(recipe or default, {}):
            flag = f" --recipe {recipe}" if recipe not in (None, default) else ""
            return f"python {module.PROGRAM} --preset {name}{flag} --data-dir DIR --workdir DIR"
    return None
