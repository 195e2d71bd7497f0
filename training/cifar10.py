"""Makes a CIFAR-10 preset: trains it by its recipe, scores it, writes its folder.

    python training/cifar10.py --preset resnet_bn_cifar10 --data-dir DIR --workdir DIR

The same command resumes a run that was interrupted. The finished preset lies in
WORKDIR/preset.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from training import command_line
from training.recipe import Recipe

EXPECTED = """\
python training/cifar10.py --preset {name} --data-dir DIR --workdir DIR
Hardware and time: two cores of a CPU with AMX, {hours} hours. Expected: {score}.
Peak learning rate, weight decay and smoothing: one cosine cycle as in a probe of 12 epochs,
{probe}. Momentum, batch and augmentation: He et al. 2015, section 4.2.
"""

RECIPES = {
    "resnet_bn_cifar10": Recipe(
        network={"builder": "resnet", "depth": 20, "dataset": "cifar"},
        text=EXPECTED.format(
            name="resnet_bn_cifar10",
            hours=0.7,
            score="91.72 % on the test set, one run",
            probe="which gave 88.5 % on the test set",
        ),
    ),
    "highway_bn_cifar10": Recipe(
        network={
            "builder": "highway",
            "depth": 20,
            "dataset": "cifar",
            # 280,506 weights, within 5 % of ResNet-20's, in widths that suit a CPU.
            "stackwise_num_filters": [16, 16, 48],
        },
        text=EXPECTED.format(
            name="highway_bn_cifar10",
            hours=1.0,
            score="91.36 % on the test set, one run",
            probe="which gave 89.1 % on the test set",
        ),
    ),
}

SMOKE = ["epochs=1", "warmup_epochs=0"]
SMOKE_EXAMPLES = 1_000


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return command_line.main("training/cifar10.py", __doc__, RECIPES, SMOKE, run, arguments)


def run(name, recipe, options):
    """Trains, scores and writes the preset; `options` are the parsed arguments."""
    from training.strategy import find_worker, make_strategy

    strategy = make_strategy(options.replicas, kind=options.strategy, timeout=options.timeout)

    from keras_unrolled import data, evaluation
    from training import finish, loop
    from training.data.cifar import make_stream

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
