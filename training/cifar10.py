"""Makes a CIFAR-10 preset: trains it by its recipe, scores it, writes its folder.

    python training/cifar10.py --preset resnet_bn_cifar10 --data-dir DIR --workdir DIR

The same command resumes a run that was interrupted. The finished preset lies in
WORKDIR/preset.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from training import command_line
from training.recipe import Recipe

EXPECTED = """\
python training/cifar10.py --preset {name} --data-dir DIR --workdir DIR
Hardware and time: two cores of a CPU with bfloat16, {hours}. Expected: {expected}.
Peak learning rate 0.2, smoothing 0.05 and borders mirrored before cropping: the best of four choices on
train[40000:], made with the residual network alone. Momentum, batch, crops and flips: He et al. 2015,
section 4.2.
"""
# 280,000 weights, within 5 % of ResNet-20's, in widths that suit a CPU: a gate costs as much as H.
ONE_GATE, TWO_GATES = [16, 16, 48], [16, 16, 36]
# Builder, its options, and what to expect, by preset.
NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "resnet_bn_cifar10": ("resnet", {}, "92.10 % on the test set, one run"),
    "highway_bn_cifar10": (
        "highway",
        {"stackwise_num_filters": ONE_GATE},
        "91.92 % on the test set, one run",
    ),
    "plain_bn_cifar10": ("plain", {}, "90.72 % on the test set, one run"),
    "highway_full_bn_cifar10": (
        "highway",
        {"gating": "full", "stackwise_num_filters": TWO_GATES},
        "92.68 % on the test set, one run",
    ),
    "highway_c_only_bn_cifar10": (
        "highway",
        {"gating": "c_only", "stackwise_num_filters": ONE_GATE},
        "92.65 % on the test set, one run",
    ),
    "highway_t_only_bn_cifar10": (
        "highway",
        {"gating": "t_only", "stackwise_num_filters": ONE_GATE},
        "92.15 % on the test set, one run",
    ),
    "highway_hrelu_bn_cifar10": (
        "highway",
        {"transform_relu": True, "stackwise_num_filters": ONE_GATE},
        "91.95 % on the test set, one run",
    ),
    "resnet_nobn_cifar10": (
        "resnet",
        {"normalization": None},
        "91.00 % on the test set, one run",
    ),
    "highway_nobn_cifar10": (
        "highway",
        {"normalization": None, "stackwise_num_filters": ONE_GATE},
        "90.69 % on the test set, one run",
    ),
}
# The same networks, deeper: depth, and the network that it is like.
DEEP = {
    "resnet56_bn_cifar10": (56, "resnet_bn_cifar10"),
    "highway56_bn_cifar10": (56, "highway_bn_cifar10"),
    "highway56_full_bn_cifar10": (56, "highway_full_bn_cifar10"),
    "highway56_c_only_bn_cifar10": (56, "highway_c_only_bn_cifar10"),
    "highway56_t_only_bn_cifar10": (56, "highway_t_only_bn_cifar10"),
    "plain56_bn_cifar10": (56, "plain_bn_cifar10"),
    "resnet110_bn_cifar10": (110, "resnet_bn_cifar10"),
    "highway110_bn_cifar10": (110, "highway_bn_cifar10"),
}
for _name, (_depth, _shallow) in DEEP.items():
    _builder, _options, _ = NETWORKS[_shallow]
    NETWORKS[_name] = (_builder, {"depth": _depth, **_options}, "not known yet")
HOURS = {20: "about an hour", 56: "two to three hours", 110: "five hours (an estimate)"}
CLIPPED = """\
Gradients clipped at a global norm of 1, in the two networks without normalisation. On train[40000:], after 24
epochs: the residual one 88.24 %, without clipping 85.55 %; the Highway net 88.54 %, with half the rate instead
88.05 %. With neither, on all of train, its loss is nan in epoch 4 (seed 0; seeds 1 and 2 go on).
"""


def make_recipe(name):
    """The recipe of the network that is called `name`."""
    builder, options, expected = NETWORKS[name]
    bare = options.get("normalization", "batch") is None
    return Recipe(
        network={"builder": builder, "dataset": "cifar", "depth": 20, **options},
        text=EXPECTED.format(name=name, hours=HOURS[options.get("depth", 20)], expected=expected)
        + (CLIPPED if bare else ""),
        epochs=60,
        clip_norm=1.0 if bare else None,
    )


PRESETS = {name: make_recipe(name) for name in NETWORKS}
RECIPES = {"classic": PRESETS}
SMOKE_EXAMPLES = 1_000


def smoke(recipe):
    """What `--smoke` changes."""
    return ["epochs=1", "warmup_epochs=0"]


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return command_line.main("training/cifar10.py", __doc__, RECIPES, smoke, run, arguments)


def run(name, recipe, options):
    """Trains, scores and writes the preset; `options` are the parsed arguments."""
    from training.strategy import find_worker, make_strategy

    strategy = make_strategy(options.replicas, kind=options.strategy, timeout=options.timeout)

    from keras_unrolled import data, evaluation
    from keras_unrolled.data.streams import make_stream
    from training import finish, loop

    train = data.load_cifar10(options.data_dir, "train")
    held = None
    if recipe.holdout:
        train, held = train.part("train", 0, -recipe.holdout), train.part("train", -recipe.holdout)
    if options.smoke:
        train = train.part("train", 0, SMOKE_EXAMPLES)
    if recipe.batch_size > len(train):
        raise checks.InputError(
            f"Expected a batch of at most {len(train)} training examples. "
            f"Received: batch_size={recipe.batch_size}. Make it smaller."
        )
    steps_per_epoch = len(train) // recipe.batch_size
    stream = make_stream(
        train.images,
        train.labels,
        batch_size=recipe.batch_size,
        total_steps=recipe.epochs * steps_per_epoch,
        seed=recipe.seed,
        augment=recipe.augment,
        preprocess=finish.build(recipe).preprocessor,
    )

    def held_out_score(model):
        assert held is not None
        scores = evaluation.predict(model, held.images)
        return {"held_out_accuracy": evaluation.accuracy(scores, held.labels)}

    model, state = loop.train(
        lambda: finish.build(recipe, labels=train.names, dtype=recipe.precision),
        recipe,
        stream,
        steps_per_epoch=steps_per_epoch,
        strategy=strategy,
        workdir=options.workdir,
        evaluate=held_out_score if held is not None else None,
        checkpoint_every=options.checkpoint_every,
        timeout=options.timeout if find_worker(strategy).count > 1 else None,
    )
    if not find_worker(strategy).is_chief:
        return
    finish.write_preset(
        model,
        name,
        recipe,
        state,
        folder=Path(options.workdir) / "preset",
        dataset="cifar10",
        command=command_line.command("training/cifar10.py", name, options),
        trained_on=train.split,
        score=finish.score_examples(
            [*([held] if held else []), data.load_cifar10(options.data_dir, "test")]
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
