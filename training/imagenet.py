"""Trains an ImageNet preset by its recipe, scores it and writes its folder.

    python training/imagenet.py --preset highway_bn_imagenet --data-dir DIR --workdir DIR

DIR holds ImageNet as TFDS prepares it, as shards, or as folders: see docs/training.md. Run the
same command again to resume, on one device or many; the final weights are identical on one device.
The finished preset is written to WORKDIR/preset.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import environment
from training import job, result
from training.recipes import imagenet

CHECKPOINT_EVERY = 1_000  # steps; an epoch takes hours on few devices


def smoke(recipe):
    """The settings that `--smoke` stands for."""
    return [
        "epochs=2",
        "warmup_epochs=0",
        "batch_size=16",
        "size=64",
        *([] if recipe.init else ["network.width_multiplier=0.25"]),
        "precision=float32",
        *(["milestones=[1]"] if recipe.milestones else []),
        *(["start_size=32"] if recipe.start_size else []),
    ]


def main(arguments=None):
    """Runs one recipe from its data to its preset; returns the exit code."""
    return job.main(imagenet, __doc__, smoke, run, arguments)


def run(run):
    """Trains, scores and writes the preset."""
    from keras_unrolled import engine

    recipe, options = run.recipe, run.options
    strategy = engine.make_strategy(
        options.replicas, kind=options.strategy, timeout=options.timeout
    )

    import tensorflow as tf

    from keras_unrolled import models
    from keras_unrolled.data.crops import make_normalizer
    from keras_unrolled.data.sources import hold_out, report_broken_images
    from keras_unrolled.data.streams import crop_batches
    from training.data.imagenet import evaluate, open_source

    names = models.imagenet_labels()
    train = open_source(options.data_dir, "train", names, smoke=options.smoke)
    validation = open_source(options.data_dir, "validation", names, smoke=options.smoke)
    sizes = (len(train), len(validation))
    held = None
    if recipe.holdout:
        train, held = hold_out(train, recipe.holdout)
    job.check_batch(recipe, len(train))
    steps_per_epoch = len(train) // recipe.batch_size

    def evaluate_held(model):
        return {"held_out_accuracy": evaluate(model, held)["accuracy"]}

    workers = engine.count_workers(strategy)
    try:
        model, state = engine.train(
            engine.Job(
                recipe=recipe,
                build=lambda: job.build(recipe, labels=names, dtype=recipe.precision),
                stream=crop_batches(train, recipe, classes=len(names)),
                steps_per_epoch=steps_per_epoch,
                workdir=run.workdir,
                rate_factors=job.make_gate_factors(recipe),
                preprocess=make_normalizer(job.build(recipe).preprocessor.image_converter),
                evaluate=evaluate_held if held is not None else None,
                initial_state={"commit": environment.read_commit()},
                checkpoint_every=options.checkpoint_every or min(steps_per_epoch, CHECKPOINT_EVERY),
                timeout=options.timeout if workers > 1 else None,
                average=not options.train_only,
            ),
            strategy,
        )
    except tf.errors.InvalidArgumentError as error:
        report_broken_images(train, error)
    if engine.is_chief(strategy) and not options.train_only:
        complete = sizes == (imagenet.IMAGES, imagenet.VALIDATION_IMAGES)
        result.write_preset(
            run,
            model,
            state,
            dataset=imagenet.DATASET if complete else Path(options.data_dir).resolve().name,
            trained_on=f"train, {len(train):,} images",
            score=lambda model: score_sources(model, held, validation),
        )
    engine.meet(strategy, options.timeout)


def score_sources(model, held, validation):
    """Accuracy on held-out images, if there are any, and on the validation set."""
    from training.data.imagenet import evaluate

    rows = []
    for split, source in (("train, held out", held), ("validation", validation)):
        if source is not None:
            scores = evaluate(model, source, description=split)
            rows += [
                {"split": split, "n": scores["n"], "metric": metric, "value": scores[metric]}
                for metric in ("accuracy", "top_5_accuracy")
            ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
