"""Makes an ImageNet preset: trains it by its recipe, scores it, writes its folder.

    python training/imagenet.py --preset highway_bn_imagenet --data-dir DIR --workdir DIR

DIR holds ImageNet as TFDS prepares it, as shards, or as folders: see docs/training.md. The same
command resumes a run that was interrupted, on one device or many. The finished preset lies in
WORKDIR/preset.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from keras_unrolled.presets import catalog
from training import command_line
from training.recipe import Recipe

HEAD = """\
python training/imagenet.py --preset {name}{flag} --data-dir DIR --workdir DIR
Hardware and time: eight A100 GPUs, {hours:.1f} hours (an estimate from the MACs, at what ffcv's ResNet-50 \
sustains there: nobody has run this). Expected: {expected}.
"""
TEXTS = {
    "classic": """\
Goyal et al. 2017, section 5.1: 90 epochs of 256 images, rate 0.1 divided by 10 after 30, 60 and 80,
Nesterov's momentum 0.9, weight decay 1e-4, crops of 8 to 100 % of the area. The same for Residual and
Highway nets, as Greff et al. 2017 (section 5.1) did, who do not tell their epochs and batch.
""",
    "short": """\
After ffcv's ImageNet configurations (Leclerc et al. 2023): 16 epochs, or --set epochs=32 or 88; crops of
160 pixels for three quarters of them, then 192; one line up and one down; label smoothing. ffcv's rate,
1.7 for 4,096 images, is scaled to the batch. ffcv adds blurred pooling and averages over a flip.
""",
    "strong": """\
Wightman et al. 2021, procedure A2; for A1 --set epochs=600 weight_decay=0.01 mixup=0.2 label_smoothing=0.1.
LAMB, binary cross-entropy, RandAugment, mixup, CutMix, each image three times in a batch, layer dropout.
The preset crops 0.875 of an image where A2 was tested with 0.95.
""",
}
GREFF = "{} % top-5 error in Greff et al. 2017, section 5.1"
NARROWER = GREFF + ", there with fewer filters, of ResNet-50's size"
UNKNOWN = "not known, no source trained it"
# Builder, its options, and what to expect, by preset.
NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "resnet_bn_imagenet": (
        "resnet",
        {},
        "24.01 % top-1 error (fb.resnet.torch); " + GREFF.format("7.17"),
    ),
    # As the regated preset of this name: a ReLU after the mix.
    "highway_bn_imagenet": ("highway", {"mix_relu": True}, NARROWER.format("7.53")),
    "highway_full_bn_imagenet": ("highway", {"gating": "full", "mix_relu": True}, UNKNOWN),
    "highway_c_only_bn_imagenet": ("highway", {"gating": "c_only", "mix_relu": True}, UNKNOWN),
    "highway_t_only_bn_imagenet": ("highway", {"gating": "t_only", "mix_relu": True}, UNKNOWN),
    "highway_hrelu_bn_imagenet": ("highway", {"transform_relu": True}, NARROWER.format("7.29")),
    "resnet_nobn_imagenet": ("resnet", {"normalization": None}, GREFF.format("9.40")),
    "highway_nobn_imagenet": ("highway", {"normalization": None}, NARROWER.format("10.03")),
    "plain_bn_imagenet": ("plain", {}, UNKNOWN),
}
IMAGES = 1_281_167
# ffcv trains ResNet-50 for 88 epochs of the short recipe in 77.2 minutes on eight A100 GPUs:
# 1.57e18 FLOPs at two a multiply-accumulate and three passes, so 42 TFLOP/s each.
SUSTAINED = 42e12
# Operations a second that each sustains, where several of a kind lose nothing to each other. TPU: ViT-S/16,
# 4.6 GMACs, 90 epochs in 7 hours on a v3-8 (Beyer et al. 2022), on four times as many cores.
HARDWARE = {
    "one A100": SUSTAINED,
    "eight A100": 8 * SUSTAINED,
    "two hosts of eight": 16 * SUSTAINED,
    "TPU v3-32": 4 * 6 * 4.6e9 * 90 * IMAGES / (7 * 3600),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "classic": {
        "epochs": 90,
        "batch_size": 256,
        "learning_rate": 0.1,
        "warmup_epochs": 0,
        "milestones": (30, 60, 80),
        "weight_decay": 1e-4,
        "label_smoothing": 0.0,
        "ema": 0.0,
    },
    "short": {
        "epochs": 16,
        "batch_size": 1024,
        "learning_rate": 0.425,
        "warmup_epochs": 2,
        "decay": "linear",
        "weight_decay": 1e-4,
        "label_smoothing": 0.1,
        "ema": 0.0,
        "size": 192,
        "start_size": 160,
        "ramp": (0.7, 0.8),
    },
    "strong": {
        "epochs": 300,
        "batch_size": 2048,
        "optimizer": "lamb",
        "learning_rate": 5e-3,
        "warmup_epochs": 5,
        "weight_decay": 0.02,
        "clip_norm": 1.0,
        "loss": "binary_cross_entropy",
        "label_smoothing": 0.0,
        "ema": 0.0,
        "rand_augment": 7,
        "mixup": 0.1,
        "cutmix": 1.0,
        "repeats": 3,
    },
}
STRONG_NETWORK = {"layer_dropout": 0.05, "layer_dropout_unit": "sample"}
# Of ResNet-50. Nobody has trained a Highway net by them.
SCORES = {
    "short": "73.8 % top-1 accuracy after 16 epochs, 76.6 after 32, 78.4 after 88 (ffcv's README)",
    "strong": "79.8 % top-1 accuracy, A1 80.4 (Wightman et al. 2021, table 1)",
}


def flops(recipe, macs):
    """Operations of a whole training run, for a network of so many MACs at 224 pixels."""
    # Two a multiply-accumulate, and twice as many again for the gradient.
    areas = sum((recipe.size_of(epoch) / 224) ** 2 for epoch in range(recipe.epochs))
    return 6 * macs * areas * IMAGES


def make_recipe(name, kind="classic"):
    """The recipe "classic", "short" or "strong" for the preset of a name."""
    builder, options, expected = NETWORKS[name]
    if kind != "classic":
        expected = SCORES[kind] if name == "resnet_bn_imagenet" else UNKNOWN
        options = {**options, **(STRONG_NETWORK if kind == "strong" else {})}
    recipe = Recipe(
        network={"builder": builder, "depth": 50, "dataset": "imagenet", **options},
        **SETTINGS[kind],
    )
    text = HEAD.format(
        name=name,
        flag="" if kind == "classic" else f" --recipe {kind}",
        hours=flops(recipe, catalog.all_presets()[name].macs or 0) / SUSTAINED / 8 / 3600,
        expected=expected,
    )
    return dataclasses.replace(recipe, text=text + TEXTS[kind])


RECIPES = {kind: {name: make_recipe(name, kind) for name in NETWORKS} for kind in SETTINGS}


def smoke(recipe):
    """What `--smoke` changes."""
    return [
        "epochs=2",
        "warmup_epochs=0",
        "batch_size=16",
        "size=64",
        "network.width_multiplier=0.25",
        "precision=float32",
        *(["milestones=[1]"] if recipe.milestones else []),
        *(["start_size=32"] if recipe.start_size else []),
    ]


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return command_line.main("training/imagenet.py", __doc__, RECIPES, smoke, run, arguments)


def run(name, recipe, options):
    """Trains, scores and writes the preset; `options` are the parsed arguments."""
    from training.strategy import find_worker, make_strategy

    strategy = make_strategy(options.replicas, kind=options.strategy, timeout=options.timeout)

    import tensorflow as tf

    from training import finish, loop
    from training.data import images

    names = images.imagenet_names()
    train = images.open_source(options.data_dir, "train", names, smoke=options.smoke)
    held = None
    if recipe.holdout:
        train, held = images.hold_out(train, recipe.holdout)
    validation = images.open_source(options.data_dir, "validation", names, smoke=options.smoke)
    if recipe.batch_size > len(train):
        raise checks.InputError(
            f"Expected a batch of at most {len(train)} training images. "
            f"Received: batch_size={recipe.batch_size}. Make it smaller."
        )
    steps_per_epoch = len(train) // recipe.batch_size
    model = finish.build(recipe)
    stream = images.make_stream(train, recipe, classes=len(names))
    try:
        model, state = loop.train(
            lambda: finish.build(recipe, labels=names, dtype=recipe.precision),
            recipe,
            stream,
            steps_per_epoch=steps_per_epoch,
            strategy=strategy,
            workdir=options.workdir,
            evaluate=held
            and (lambda model: {"held_out_accuracy": images.evaluate(model, held)["accuracy"]}),
            preprocess=normalize(model.preprocessor.image_converter),
            checkpoint_every=options.checkpoint_every or min(steps_per_epoch, 1_000),
            timeout=options.timeout if find_worker(strategy).count > 1 else None,
        )
    except tf.errors.InvalidArgumentError as error:
        images.refuse_broken(train, error)
    if not find_worker(strategy).is_chief:
        return

    def score(model):
        rows = []
        for split, source in (("train, held out", held), ("validation", validation)):
            if source is not None:
                found = images.evaluate(model, source, progress=split)
                rows += [
                    {"split": split, "n": found["n"], "metric": metric, "value": found[metric]}
                    for metric in ("accuracy", "top_5_accuracy")
                ]
        return rows

    finish.write_preset(
        model,
        name,
        recipe,
        state,
        folder=Path(options.workdir) / "preset",
        dataset="imagenet2012",
        command=command_line.command("training/imagenet.py", name, options),
        trained_on=f"train, {len(train):,} images",
        score=score,
    )


def normalize(converter):
    """The last step of a preset's preprocessing, for crops that have their size already."""
    import tensorflow as tf

    scale, offset = (
        tf.constant(values, "float32") for values in (converter.scale, converter.offset)
    )
    return lambda images: tf.cast(images, "float32") * scale + offset


if __name__ == "__main__":
    sys.exit(main())
