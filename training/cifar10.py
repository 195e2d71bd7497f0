"""Trains a CIFAR-10 preset by its recipe, scores it and writes its folder.

    python training/cifar10.py --preset resnet_bn_cifar10 --data-dir DIR --workdir DIR

DIR is TFDS's data directory. Run the same command again to resume; the final weights are
identical. The finished preset is written to WORKDIR/preset.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import environment
from training import job, result
from training.answers import can_keep, keep_answers
from training.recipes import cifar10

SMOKE_EXAMPLES = 1_000


def smoke(recipe):
    """The settings that `--smoke` stands for."""
    return ["epochs=1", "warmup_epochs=0", "precision=float32"]  # fast on every processor


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return job.main(cifar10, __doc__, smoke, run, arguments)


def load_parts(recipe, options):
    """The images to train on, and those held out or None."""
    from keras_unrolled import data

    train, held = data.load_cifar10(options.data_dir, "train"), None
    if recipe.holdout:
        train, held = train.part("train", 0, -recipe.holdout), train.part("train", -recipe.holdout)
    if options.smoke:
        train = train.part("train", 0, SMOKE_EXAMPLES)
    job.check_batch(recipe, len(train))
    return train, held


def make_stream(recipe, train, steps_per_epoch, answers=None):
    """The training batches of a recipe, with the teachers' answers in place of labels if they are kept."""
    from keras_unrolled.data.image_batches import ImageBatches

    return ImageBatches(
        train.images,
        train.labels,
        batch_size=recipe.batch_size,
        total_steps=recipe.epochs * steps_per_epoch,
        seed=recipe.seed,
        shift_flip=recipe.augmentation == "shift_flip",
        preprocess=job.build(recipe).preprocessor,
        rand_augment=recipe.rand_augment,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        classes=len(train.names),
        period=recipe.view_epochs * steps_per_epoch or None if recipe.teachers else None,
        answers=answers,
    )


def run(run):
    """Trains, scores and writes the preset."""
    from keras_unrolled import engine

    recipe, options = run.recipe, run.options
    strategy = engine.make_strategy(
        options.replicas, kind=options.strategy, timeout=options.timeout
    )

    from keras_unrolled import data, evaluation
    from keras_unrolled.engine.objectives import classification

    train, held = load_parts(recipe, options)
    steps_per_epoch = len(train) // recipe.batch_size

    def evaluate(model):
        scores = evaluation.predict(model, held.images)
        return {"held_out_accuracy": evaluation.accuracy(scores, held.labels)}

    teachers: list[Any] = []  # who are asked in each step
    answers = None
    # JAX asks them on the device, which holds the images; workers would have to wait for each other.
    if recipe.teachers and recipe.view_epochs and can_keep(strategy):
        folder = Path(options.answers or run.workdir / "answers")
        stream = make_stream(recipe, train, steps_per_epoch)
        answers = keep_answers(folder, recipe, stream, train.names)

    def build():
        model = job.build(recipe, labels=train.names, dtype=recipe.precision)
        if answers is None:
            teachers[:] = job.load_teachers(recipe, model)
        return model

    workers = engine.count_workers(strategy)
    model, state = engine.train(
        engine.Job(
            recipe=recipe,
            build=build,
            stream=make_stream(recipe, train, steps_per_epoch, answers),
            steps_per_epoch=steps_per_epoch,
            workdir=run.workdir,
            rate_factors=job.make_gate_factors(recipe),
            objective=classification(recipe, teachers=teachers),
            evaluate=evaluate if held is not None else None,
            initial_state={"commit": environment.read_commit()},
            checkpoint_every=options.checkpoint_every,
            timeout=options.timeout if workers > 1 else None,
            average=not options.train_only,
        ),
        strategy,
    )
    if engine.is_chief(strategy) and not options.train_only:
        reports = [*([held] if held else []), data.load_cifar10(options.data_dir, "test")]
        result.write_preset(
            run,
            model,
            state,
            dataset="cifar10",
            trained_on=train.split,
            score=result.score_examples(reports),
        )
    engine.meet(strategy, options.timeout)


if __name__ == "__main__":
    sys.exit(main())
