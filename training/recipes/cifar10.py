"""CIFAR-10: every gating at 20 and 56 layers, and the authors' pair at 110.

    python training/cifar10.py --preset resnet_bn_cifar10 --data-dir DIR --workdir DIR

Two CPU cores with bfloat16 take about an hour at 20 layers, two to three at 56 and, by
extrapolation, five at 110.

Momentum, batch size, crops and flips: He et al. 2015, section 4.2. The peak learning rate, label
smoothing and mirrored borders are the best of four choices on train[40000:], made with the
residual network only (docs/results.md).

"adapt" goes on from a regated preset, "distill" learns what presets answer. Neither has been run to
its end, and their epochs and rates are untuned. The views of "distill" come again after 20 epochs, for nine
teachers take longer than the student; `--set view_epochs=0` makes new ones in every epoch, and
`--answers DIR` keeps what they said for a second student.
"""

from dataclasses import replace
from typing import Any

from keras_unrolled.engine import ImageRecipe

PROGRAM, DATASET = "training/cifar10.py", "cifar10"

# Within 5% of the residual network's parameters at every depth, in widths that suit a CPU. A
# gate has as many parameters as H.
ONE_GATE, TWO_GATES = [16, 16, 48], [16, 16, 36]
FAMILIES: dict[str, dict[str, Any]] = {
    "resnet": {"builder": "resnet"},
    "plain": {"builder": "plain"},
    "highway": {"builder": "highway", "stackwise_num_filters": ONE_GATE},
    "highway_full": {
        "builder": "highway",
        "gating": "full",
        "stackwise_num_filters": TWO_GATES,
    },
    "highway_c_only": {
        "builder": "highway",
        "gating": "c_only",
        "stackwise_num_filters": ONE_GATE,
    },
    "highway_t_only": {
        "builder": "highway",
        "gating": "t_only",
        "stackwise_num_filters": ONE_GATE,
    },
    # The paper's "Highway-Full" on ImageNet: coupled, and H ends in one more ReLU.
    "highway_hrelu": {
        "builder": "highway",
        "transform_relu": True,
        "stackwise_num_filters": ONE_GATE,
    },
}
DEEP = {
    56: ("resnet", "plain", "highway", "highway_full", "highway_c_only", "highway_t_only"),
    110: ("resnet", "highway"),
}


def make_recipe(family, depth=20, **network):
    """The classic recipe of one network."""
    # Without normalization the recipe is at the edge of what trains, so gradients are clipped: on
    # train[40000:] the residual network gains 2.7 points, and the Highway network's loss would be
    # NaN in its fourth epoch with seed 0 (docs/results.md).
    clip_norm = 1.0 if network.get("normalization", "batch") is None else None
    network = {"dataset": "cifar", "depth": depth, **FAMILIES[family], **network}
    return ImageRecipe(
        network=network,
        epochs=60,
        batch_size=128,
        learning_rate=0.2,
        warmup_epochs=4,
        momentum=0.9,
        weight_decay=5e-4,
        label_smoothing=0.05,
        clip_norm=clip_norm,
        ema=0.999,
        augmentation="shift_flip",
    )


def _name(family, depth):
    head, _, gating = family.partition("_")
    return f"{head}{depth}{f'_{gating}' if gating else ''}_bn_cifar10"


CLASSIC = {
    **{f"{family}_bn_cifar10": make_recipe(family) for family in FAMILIES},
    **{
        f"{family}_nobn_cifar10": make_recipe(family, normalization=None)
        for family in ("resnet", "highway")
    },
    **{
        _name(family, depth): make_recipe(family, depth)
        for depth, families in DEEP.items()
        for family in families
    },
}


def make_adapted(builder, gating):
    """The recipe that lets the gates of a regated network learn; the residual one is its control."""
    return replace(
        make_recipe("resnet"),
        network={"builder": builder, "gating": gating, "depth": 20, "dataset": "cifar"},
        init="resnet_bn_cifar10",
        gate_rate=10.0,
        epochs=15,
        warmup_epochs=1,
        learning_rate=0.05,
    )


ADAPTED = {
    "resnet_adapted_bn_cifar10": make_adapted("resnet", "residual"),
    "highway_adapted_bn_cifar10": make_adapted("highway", "coupled"),
    "highway_c_only_adapted_bn_cifar10": make_adapted("highway", "c_only"),
}
# The networks of 20 layers, each with its label smoothing: nothing else is smoothed.
TEACHERS = tuple(name for name, recipe in CLASSIC.items() if recipe.network["depth"] == 20)
DISTILLED = {
    f"{family}_distilled_bn_cifar10": replace(
        make_recipe(family), epochs=120, label_smoothing=0.0, teachers=TEACHERS, view_epochs=20
    )
    for family in ("resnet", "highway")
}
RECIPES = {"classic": CLASSIC, "adapt": ADAPTED, "distill": DISTILLED}
