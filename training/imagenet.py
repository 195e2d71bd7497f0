"""Makes an ImageNet preset: trains it by its recipe, scores it, writes its folder.

    python training/imagenet.py --preset highway_bn_imagenet --data-dir DIR --workdir DIR

DIR holds ImageNet as TFDS prepares it, as shards, or as folders: see docs/training.md. The same
command resumes a run that was interrupted, on one device or many. The finished preset lies in
WORKDIR/preset.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from keras_unrolled.presets import registry
from training import command_line
from training.recipe import Recipe

CLASSIC = """\
python training/imagenet.py --preset {name} --data-dir DIR --workdir DIR
Hardware and time: on GPUs that together sustain 100 TFLOP/s, {hours:.0f} hours by the count of MACs (an \
estimate: nobody has run this). Expected: {expected}.
Goyal et al. 2017, section 5.1: 90 epochs of 256 images, rate 0.1 divided by 10 after 30, 60 and 80,
Nesterov's momentum 0.9, weight decay 1e-4, crops of 8 to 100 % of the area. The same for Residual and
Highway nets, as Greff et al. 2017 (section 5.1) did, who do not tell their epochs and batch.
"""
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
EPOCHS, IMAGES = 90, 1_281_167


def _classic(name):
    builder, options, expected = NETWORKS[name]
    # Two operations a multiply-accumulate, and twice as many again for the gradient.
    hours = 6 * (registry.known()[name].macs or 0) * EPOCHS * IMAGES / 100e12 / 3600
    return Recipe(
        network={"builder": builder, "depth": 50, "dataset": "imagenet", **options},
        text=CLASSIC.format(name=name, hours=hours, expected=expected),
        epochs=EPOCHS,
        batch_size=256,
        learning_rate=0.1,
        warmup_epochs=0,
        milestones=(30, 60, 80),
        weight_decay=1e-4,
        label_smoothing=0.0,
        ema=0.0,
    )


RECIPES = {name: _classic(name) for name in NETWORKS}
SMOKE = [
    "epochs=2",
    "batch_size=16",
    "milestones=[1]",
    "size=64",
    "network.width_multiplier=0.25",
    "precision=float32",
]


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return command_line.main("training/imagenet.py", __doc__, RECIPES, SMOKE, run, arguments)


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
    stream = images.make_stream(
        train,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        seed=recipe.seed,
        size=recipe.size,
        area=(recipe.smallest_area, 1.0),
    )
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
