"""Recipes: what every preset is trained by, one file for each data set.

Each file has PROGRAM, DATASET and RECIPES, a dict from a recipe's name, the default first, to a
dict from a preset's name to its `Recipe`.
"""

from training.recipes import cifar10, imagenet, ptb

ALL = (cifar10, imagenet, ptb)


def list_modules(recipe=None):
    """The module of each preset that a recipe trains, a dict by name.

    Args:
        recipe: optional string, the recipe's name; None means each data set's first.
    """
    return {
        name: module
        for module in ALL
        for name in module.RECIPES.get(recipe or next(iter(module.RECIPES)), {})
    }


def command(name, recipe=None):
    """The command that trains the preset of a name, or None for an unknown name.

    Args:
        name: string.
        recipe: optional string, the recipe's name; None means the data set's first.
    """
    module = list_modules(recipe).get(name)
    if module is None:
        return None
    flag = f" --recipe {recipe}" if recipe not in (None, next(iter(module.RECIPES))) else ""
    return f"python {module.PROGRAM} --preset {name}{flag} --data-dir DIR --workdir DIR"
