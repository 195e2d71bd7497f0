"""Thirty steps on real images, made to be killed: see test_kill.py.

python kill_worker.py WORKDIR OUT.npz

TF_CONFIG makes it one of several workers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from keras_unrolled.engine import ImageRecipe, Job, make_strategy, train

STEPS_PER_EPOCH, EPOCHS, EVERY = 15, 2, 2


def main(workdir, out):
    strategy = make_strategy(timeout=600)  # before TensorFlow has looked at its devices

    import keras
    import numpy as np

    from keras_unrolled import data
    from keras_unrolled.data.image_batches import ImageBatches
    from training.job import build

    recipe = ImageRecipe(
        network={
            "builder": "highway",
            "depth": 8,
            "dataset": "cifar",
            "stackwise_num_filters": [16, 16, 16],
            "layer_dropout": 0.2,
        },
        epochs=EPOCHS,
        warmup_epochs=1,
        momentum=0.9,
        weight_decay=5e-4,
        label_smoothing=0.05,
        batch_size=32,
        ema=0.999,
        seed=7,
        precision="float32",
    )
    sample = data.load_sample()  # a thousand images of CIFAR-10
    stream = ImageBatches(
        sample.images,
        sample.labels,
        batch_size=recipe.batch_size,
        total_steps=EPOCHS * STEPS_PER_EPOCH,
        seed=recipe.seed,
        preprocess=build(recipe).preprocessor,
    )
    job = Job(
        recipe=recipe,
        build=lambda: build(recipe, dtype=recipe.precision),
        stream=stream,
        steps_per_epoch=STEPS_PER_EPOCH,
        workdir=workdir,
        checkpoint_every=EVERY,
        timeout=600 if strategy.num_replicas_in_sync > 1 else None,
    )
    model, state = train(job, strategy)
    weights = {f"{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(model.variables)}
    np.savez(out, step=state["step"], **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
