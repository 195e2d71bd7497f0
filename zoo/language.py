"""The records of the language models that have not been trained yet."""

from keras_unrolled import models
from keras_unrolled.models.character_lm import SIZES
from keras_unrolled.presets.registry import zoo
from keras_unrolled.presets.saving import describe

# The paper, section 5.2; Kim et al.'s own two are the coupled ones.
GATINGS = {
    "plain": "plain",
    "resnet": "residual",
    "highway": "coupled",
    "highway_full": "full",
    "highway_c_only": "c_only",
    "highway_t_only": "t_only",
}
COMMAND = "python training/ptb.py --preset {} --data-dir DIR --workdir DIR"


def make_records():
    """A `Record` by name for each language model that has no weights in zoo/checkpoints."""
    found = {}
    for size in SIZES:
        for network, gating in GATINGS.items():
            name = f"{network}_{size}_ptb"
            if not (zoo() / "checkpoints" / name).is_dir():
                found[name] = describe(
                    models.character_lm(size, gating=gating),
                    name,
                    {},
                    origin="recipe only",
                    description=f"A {size} character-aware language model for Penn Treebank that has "
                    "not been trained yet",
                    training={"command": COMMAND.format(name), "dataset": "ptb"},
                    versions={},
                )
    return found
