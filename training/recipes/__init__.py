"""Recipes: what every preset is trained by, one file for each data set.

Each file has PROGRAM, DATASET and RECIPES, a dict from a recipe's name, the default first, to a
dict from a preset's name to its `Recipe`.
"""

from training.recipes import cifar10, imagenet, ptb

ALL = (cifar10, imagenet, ptb)


def list_names(module):
    """The names of all presets that a data set's recipes train."""
    return list(dict.fromkeys(name for presets in module.RECIPES.values() for name in presets))


def find_kind(module, name):
    """The name of the recipe of a preset: the data set's first that has it."""
    return next(kind for kind, presets in module.RECIPES.items() if name in presets)


def list_modules(recipe=None):
    """The module of each preset that a recipe trains, a dict by name.

    Args:
        recipe: optional string, the recipe's name; None means all.
    """
    return {
        name: module
        for module in ALL
        for name in (list_names(module) if recipe is None else module.RECIPES.get(recipe, ()))
    }


def command(name, recipe=None):
    """The command that trains the preset of a name, or None for an unknown name.

    Args:
        name: string.
        recipe: optional string, the recipe's name; None means the preset's first.
    """
    module = list_modules(recipe).get(name)
    if module is None:
        return None
    flag = f" --recipe {recipe}" if recipe not in (None, find_kind(module, name)) else ""
    return f"python {module.PROGRAM} --preset {name}{flag} --data-dir DIR --workdir DIR"
