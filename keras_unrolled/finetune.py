"""Fine-tuning: a preset's network with a new head, on a folder of one's own images."""

import csv
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from keras_unrolled import checks, data, evaluation
from keras_unrolled.analysis import plots
from keras_unrolled.presets import registry
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import check_target, save_preset


class Progress(keras.callbacks.Callback):
    """One line of progress on standard error: epoch, figures, rate and time left."""

    def on_train_begin(self, logs=None):
        steps = self.params["epochs"] * self.params["steps"]
        self.bar = tqdm(total=steps, unit=" steps", file=sys.stderr, desc="fine-tuning")

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        shown = {k: f"{logs[k]:.3f}" for k in ("loss", "accuracy", "val_accuracy") if k in logs}
        self.bar.set_postfix(shown, refresh=False)

    def on_train_end(self, logs=None):
        self.bar.close()


def fit_examples(model, train, held, *, epochs, batch_size, learning_rate, seed):
    """Trains a classifier on examples in memory, with flips and shifts.

    Adam with a cosine from `learning_rate` to 0. What is frozen stays as it is.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        train: `Examples` to train on.
        held: `Examples` to score after each epoch.
        epochs: int, passes over `train`.
        batch_size: int.
        learning_rate: float.
        seed: int, of order and augmentation.

    Returns:
        A dict of lists with one number an epoch: loss, accuracy, val_loss, val_accuracy.
    """
    import tensorflow as tf

    batch_size = min(batch_size, len(train))
    augment = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=seed),
            # By whole pixels: between them an image of 32 pixels blurs, which cost a point.
            keras.layers.RandomTranslation(
                0.125, 0.125, fill_mode="constant", interpolation="nearest", seed=seed
            ),
        ],
        name="augment",
    )
    steps = -(-len(train) // batch_size)
    stream = tf.data.Dataset.from_tensor_slices((train.images, train.labels))
    stream = stream.shuffle(len(train), seed=seed).batch(batch_size)
    stream = stream.map(lambda x, y: (augment(tf.cast(x, "float32"), training=True), y))
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    history = model.fit(
        stream.prefetch(2),
        validation_data=(held.images, held.labels),
        epochs=epochs,
        shuffle=False,  # the stream is
        verbose=0,
        callbacks=[Progress(), keras.callbacks.TerminateOnNaN()],
    ).history
    if not np.isfinite(history["loss"]).all():
        raise checks.InputError(
            f"Expected the loss to stay finite. It did not in epoch {len(history['loss'])}. "
            f"Received: learning_rate={learning_rate}. Lower it."
        )
    return history


def freeze(model, *, whole):
    """Frees the whole network but its batch normalisation, or the head alone.

    Gates that have not learned yet, those of a regated network, keep their normalisation free:
    its last scale is 0, and nothing else of a gate could move while that stands.
    """
    model.backbone.trainable = whole
    for layer in model.backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    for block in (block for stage in model.backbone.stages for block in stage):
        for gate in (block.transform_gate, block.carry_gate):
            if whole and gate is not None and gate.is_constant():
                for norm in gate.norms:
                    norm.trainable = True


def finetune(
    preset,
    folder,
    out,
    *,
    epochs=15,
    batch_size=32,
    learning_rate=1e-4,
    head_learning_rate=1e-2,
    held_out=0.2,
    head_only=False,
    seed=0,
    overwrite=False,
):
    """Fine-tunes a preset on a folder of class folders and writes a new preset.

    The first third of the epochs trains the new head alone, the rest the whole network but
    its batch normalisation, which stays in inference mode.

    Beside the preset its folder gets `curves.png`, `history.csv` and `held_out.csv`, the
    network's answer for each image held out.

    Args:
        preset: name or folder of the preset to start from.
        folder: path of a folder with one folder of images for each class.
        out: path of the preset's folder to make.
        epochs: int, passes over the training images.
        batch_size: int.
        learning_rate: float, of Adam on the whole network, where its cosine begins.
        head_learning_rate: float, of Adam on the head alone.
        held_out: float in (0, 1), the part of each class that is held out to score.
        head_only: bool, whether everything but the new head is frozen.
        seed: int, of split, head, order and augmentation.
        overwrite: bool, whether `out` may replace a preset.

    Returns:
        A dict: "preset", "base", "classes", "n" and "accuracy" of the held-out images as
        the network that was saved classifies them, "epochs", "parameters", "out".

    Raises:
        InputError: for a preset, folder, image, place or number that will not do; nothing
            is written then.
    """
    checks.whole("epochs", epochs, least=1, most=100_000)
    checks.whole("batch_size", batch_size, least=1, most=100_000)
    checks.real("learning_rate", learning_rate, least=0, most=100)
    checks.real("head_learning_rate", head_learning_rate, least=0, most=100)
    checks.real("held_out", held_out, least=1e-6, most=1, below=True)
    checks.whole("seed", seed, least=0, most=2**31 - 1)
    check_target(out, overwrite=overwrite)
    place, base = registry.resolve(preset)
    examples = data.load_folder(folder)
    parts = data.split_indices(examples, held_out, seed)
    keras.utils.set_random_seed(seed)
    model = from_preset(preset, labels=examples.names)
    converter = model.preprocessor.image_converter
    cached = dataclasses.replace(
        examples, images=data.resize(examples.images, converter, "reading")
    )
    train, cached_held = (cached.take(part) for part in parts)
    held = examples.take(parts[1])
    # The head first, then all: a random head would distort the features (Kumar et al. 2022).
    head_epochs = epochs if head_only else -(-epochs // 3)
    history: dict[str, list[float]] = {}
    for phase_epochs, rate, whole in (
        (head_epochs, head_learning_rate, False),
        (epochs - head_epochs, learning_rate, True),
    ):
        if phase_epochs:
            freeze(model, whole=whole)
            found = fit_examples(
                model,
                train,
                cached_held,
                epochs=phase_epochs,
                batch_size=batch_size,
                learning_rate=rate,
                seed=seed,
            )
            history = {key: history.get(key, []) + values for key, values in found.items()}
    settings = {
        "base": base.name if base is not None else place.name,
        "data": f"{len(train)} images of {len(held.names)} classes",
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate,
        "held_out": held_out,
        "head_only": head_only,
        "seed": seed,
    }
    scores = evaluation.predict(model, held.images, progress="held out")
    accuracy = evaluation.accuracy(scores, held.labels)
    metric = {
        "dataset": Path(folder).resolve().name,
        "split": "held out",
        "n": len(held),
        "metric": "accuracy",
        "value": accuracy,
        "resolution": converter.image_size[0],
        "crop_fraction": converter.crop_fraction,
        "origin": f"measured after fine-tuning, on a part of {held_out:g} held out by class",
    }

    def extras(place):
        plots.plot_curves(history, place / "curves.png")
        with (place / "history.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["epoch", *history])
            rows.writerows([i, *row] for i, row in enumerate(zip(*history.values()), start=1))
        with (place / "held_out.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "label", "predicted", "probability"])
            best = model.decode(scores, top=1)
            for path, label, (said,) in zip(held.images.paths, held.labels, best):
                rows.writerow([path, held.names[label], *said])

    record = save_preset(
        model,
        out,
        overwrite=overwrite,
        extras=extras,
        description=f"{settings['base']} fine-tuned to {len(held.names)} classes",
        training=settings,
        metrics=(metric,),
    )
    return {
        "preset": record.name,
        "base": settings["base"],
        "classes": list(held.names),
        "n": len(held),
        "accuracy": accuracy,
        "epochs": epochs,
        "parameters": record.parameters,
        "out": str(out),
    }
