"""From a recipe to a network, and from a trained network to its preset."""

from keras_unrolled import checks, models

BUILDERS = {"resnet": models.resnet, "highway": models.highway, "plain": models.plain}


def build(recipe, **options):
    """The recipe's network with random weights; `options` go to its builder."""
    network = dict(recipe.network)
    builder = checks.one_of("network.builder", network.pop("builder", None), BUILDERS)
    return BUILDERS[builder](**network, **options)
