"""Estimated hours of training for the ImageNet recipes, the table in docs/training.md.

Operations are counted by the MACs in the records and divided by what others sustained, if several
accelerators lose nothing to each other.
"""

from keras_unrolled.presets.catalog import all_presets
from training.recipes.imagenet import IMAGES, RECIPES

# ffcv trains ResNet-50 for 88 epochs of the short recipe in 77.2 minutes on eight A100 GPUs
# (Leclerc et al. 2023): 1.57e18 operations at two per multiply-accumulate and three passes.
A100 = 42e12
# ViT-S/16, 4.6 GMACs, 90 epochs in 7 hours on a v3-8 (Beyer et al. 2022), on four times as many
# cores.
TPU_V3_32 = 4 * 6 * 4.6e9 * 90 * IMAGES / (7 * 3600)
# Operations per second that each sustains.
HARDWARE = {
    "one A100": A100,
    "eight A100": 8 * A100,
    "two hosts of eight": 16 * A100,
    "TPU v3-32": TPU_V3_32,
}
SHOWN = ("resnet_bn_imagenet", "highway_bn_imagenet")


def count_operations(recipe, macs):
    """Operations of a whole training run, for a network of so many MACs at 224 pixels."""
    # Two per multiply-accumulate, and twice as many again for the gradient.
    areas = sum((recipe.size_of(epoch) / 224) ** 2 for epoch in range(recipe.epochs))
    return 6 * macs * areas * IMAGES


def make_hours_table():
    """The table, one row for each recipe and network."""
    lines = [
        f"| recipe | network | {' | '.join(HARDWARE)} |",
        "|---|---|" + "---:|" * len(HARDWARE),
    ]
    for kind, presets in RECIPES.items():
        alike = {name.replace("_adapted", ""): recipe for name, recipe in presets.items()}
        for name in SHOWN:
            recipe = alike[name]
            operations = count_operations(recipe, all_presets()[name].macs)
            hours = [f"{operations / rate / 3600:.1f}" for rate in HARDWARE.values()]
            family = name.split("_")[0]
            lines.append(f"| {kind}, {recipe.epochs} epochs | {family} | {' | '.join(hours)} |")
    return "\n".join(lines)
