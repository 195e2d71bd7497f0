"""Fine-tuning: a preset's network with a new head, on one's own images."""

import csv
import dataclasses
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from keras_unrolled import checks, data, evaluation
from keras_unrolled.analysis import plots
from keras_unrolled.presets import resolve
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import check_target, portable, save_preset

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class Progress(keras.callbacks.Callback):
    """One line of progress on standard error: epoch, figures, rate and time left."""

    def __init__(self, steps, epochs, done=0):
        super().__init__()
        self.steps, self.epochs, self.done = steps, epochs, done

    def on_train_begin(self, logs=None):
        total, initial = self.steps * self.epochs, self.steps * self.done
        self.bar = tqdm(
            total=total, initial=initial, unit=" steps", file=sys.stderr, desc="fine-tuning"
        )

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        shown = {k: f"{logs[k]:.3f}" for k in ("loss", "accuracy", "val_accuracy") if k in logs}
        self.bar.set_postfix(shown, refresh=False)

    def on_train_end(self, logs=None):
        self.bar.close()


class LayerwiseAdam(keras.optimizers.Adam):
    """Adam with a factor of the learning rate for each variable.

    Args:
        learning_rate: float or schedule.
        factors: list of float, in the order of the variables that it is built on.
    """

    def __init__(self, learning_rate, factors):
        super().__init__(learning_rate, name="adam")
        self.factors = factors

    def update_step(self, gradient, variable, learning_rate):
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


def layer_factors(model, decay):
    """The factor of the learning rate for each trainable variable.

    The head has 1, the last block `decay`, the one before `decay` ** 2, and so on to the stem.

    Args:
        model: an `ImageClassifier`.
        decay: float in (0, 1].

    Returns:
        A list of float in the order of `model.trainable_variables`.
    """
    blocks = [block for stage in model.backbone.stages for block in stage]
    below = {id(v): len(blocks) - i for i, block in enumerate(blocks) for v in block.variables}
    # Between the last block and the head may lie a normalisation; all else is the stem.
    top = max((i for i, layer in enumerate(model.backbone.layers) if layer in blocks), default=0)
    for layer in model.backbone.layers[:top]:
        for variable in layer.variables:
            below.setdefault(id(variable), len(blocks) + 1)
    return [decay ** below.get(id(v), 0) for v in model.trainable_variables]


class Progressed:
    """Where a fine-tuning stands, kept in a folder so that the same command goes on.

    Args:
        folder: path; None keeps nothing.
        settings: dict of what decides the run.

    Attributes:
        phase, epoch: int, how many phases are done, and epochs of the next.
        history: dict of lists, a number an epoch.

    Raises:
        InputError: if the folder holds another run, or is damaged.
    """

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.phase, self.epoch, self.history, self.arrays = 0, 0, {}, None
        if folder is None or not (folder / "state.npz").is_file():
            return
        try:
            with np.load(folder / "state.npz", allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                self.arrays = [file[f"v{i}"] for i in range(facts["variables"])]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise checks.InputError(
                f"Expected the state of a run in {folder}. It is damaged ({error}). Remove the "
                "folder to start anew."
            ) from error
        other = [k for k, v in facts["settings"].items() if self.settings.get(k) != v]
        other += sorted(self.settings.keys() - facts["settings"].keys())
        if other:
            former = ", ".join(f"{k} was {facts['settings'].get(k)!r}" for k in other)
            raise checks.InputError(
                f"Expected the settings of the run that was interrupted, in {folder}. Received "
                f"others: {former}. Give the same to go on, or remove the folder to start anew."
            )
        self.phase, self.epoch = facts["phase"], facts["epoch"]
        self.history = facts["history"]
        print(f"going on with {folder}, {self.epochs} epochs done", file=sys.stderr)

    @property
    def epochs(self):
        """How many epochs are done in all."""
        return len(self.history.get("loss", ()))

    def best(self):
        """The index of the best epoch: held-out accuracy, then held-out loss."""
        rows = zip(self.history["val_accuracy"], self.history["val_loss"])
        return min(enumerate(rows), key=lambda row: (-row[1][0], row[1][1], row[0]))[0]

    def is_stuck(self):
        """Whether no better epoch has come for as long as the run has patience."""
        patience = self.settings.get("patience")
        if patience is None or not self.epoch:
            return False
        # The epochs of an earlier phase do not count.
        return min(self.epochs - 1 - self.best(), self.epoch) >= patience

    def restore(self, variables):
        """Puts what was kept into the variables of model and optimizer."""
        if self.arrays is not None:
            for variable, array in zip(variables, self.arrays, strict=True):
                variable.assign(array)
            self.arrays = None

    def save(self, variables, weights):
        """Keeps the state after an epoch, and its weights apart if it is the best one yet."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "settings": self.settings,
            "phase": self.phase,
            "epoch": self.epoch,
            "history": self.history,
            "variables": len(variables),
        }
        if "patience" in self.settings and self.best() == self.epochs - 1:
            self._write("best.npz", {f"v{i}": v for i, v in enumerate(weights)})
        arrays = {f"v{i}": v for i, v in enumerate(variables)}
        self._write("state.npz", {"facts": np.array(json.dumps(facts)), **arrays})

    def _write(self, name, arrays):
        aside = self.folder / f".{name}.part"
        values = {
            k: keras.ops.convert_to_numpy(v) if k != "facts" else v for k, v in arrays.items()
        }
        with aside.open("wb") as file:
            np.savez(file, **values)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.folder / name)

    def load_best(self, weights):
        """Puts the best epoch's weights back."""
        with np.load(self.folder / "best.npz", allow_pickle=False) as file:
            for i, variable in enumerate(weights):
                variable.assign(file[f"v{i}"])

    def remove(self):
        """Forgets it all."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Keep(keras.callbacks.Callback):
    """Notes each epoch in a `Progressed`, and stops where it is stuck."""

    def __init__(self, progressed):
        super().__init__()
        self.progressed = progressed

    def on_epoch_end(self, epoch, logs=None):
        progressed = self.progressed
        for key, value in (logs or {}).items():
            progressed.history.setdefault(key, []).append(float(value))
        progressed.epoch = epoch + 1
        if not np.isfinite(progressed.history["loss"][-1]):
            self.model.stop_training = True
            return  # the last good epoch stands
        variables = [*self.model.variables, *self.model.optimizer.variables]
        progressed.save(variables, self.model.weights)
        if progressed.is_stuck():
            self.model.stop_training = True


def fit_examples(
    model,
    train,
    held,
    *,
    epochs,
    batch_size,
    learning_rate,
    seed,
    layer_decay=1.0,
    class_weights=None,
    progressed=None,
):
    """Trains a classifier on examples in memory, with flips and shifts.

    Adam with a cosine from `learning_rate` to 0. What is frozen stays as it is. Order, flips and
    shifts are functions of the seed, the epoch and the step.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        train: `Examples` to train on.
        held: `Examples` to score after each epoch.
        epochs: int, passes over `train`.
        batch_size: int, at most; each epoch takes batches of one size.
        learning_rate: float.
        seed: int, of order and augmentation.
        layer_decay: float in (0, 1], see `layer_factors`.
        class_weights: optional list of float, the weight of each class in the loss.
        progressed: optional `Progressed` to go on from and to keep.

    Returns:
        A dict of lists with one number an epoch: loss, accuracy, val_loss, val_accuracy.

    Raises:
        InputError: if the loss does not stay finite.
    """
    import tensorflow as tf

    from keras_unrolled.data.streams import make_stream

    progressed = progressed or Progressed(None, {})
    steps = -(-len(train) // batch_size)
    stream = make_stream(
        train.images,
        train.labels,
        batch_size=len(train) // steps,
        total_steps=epochs * steps,
        seed=seed,
        augment=True,
        preprocess=lambda images: images,  # `fit` does it
        # An eighth, by whole pixels: between them an image of 32 pixels blurs, which cost a point.
        pad=train.images.shape[1] // 8,
    )
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
    if layer_decay == 1:
        optimizer = keras.optimizers.Adam(schedule)
    else:
        optimizer = LayerwiseAdam(schedule, layer_factors(model, layer_decay))
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    progressed.restore([*model.variables, *model.optimizer.variables])
    if progressed.is_stuck():  # it was interrupted when it had just found out
        return progressed.history
    model.fit(
        stream(progressed.epoch * steps),
        validation_data=tf.data.Dataset.from_tensor_slices((held.images, held.labels)).batch(
            evaluation.scores.BATCH_SIZE
        ),
        initial_epoch=progressed.epoch,
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the stream is
        class_weight=class_weights and dict(enumerate(class_weights)),
        verbose=0,
        callbacks=[
            Progress(steps, epochs, progressed.epoch),
            Keep(progressed),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    if not np.isfinite(progressed.history["loss"]).all():
        progressed.remove()  # there is nothing to go on with
        raise checks.InputError(
            f"Expected the loss to stay finite. It did not in epoch {progressed.epochs}. "
            f"Received: learning_rate={learning_rate}. Lower it."
        )
    return progressed.history


def freeze(model, *, whole, stages=None):
    """Frees the whole network but its batch normalisation, its last stages, or the head alone.

    Gates that have not learned yet, those of a regated network, keep their normalisation free:
    its last scale is 0, and nothing else of a gate could move while that stands.

    Args:
        model: an `ImageClassifier`.
        whole: bool, whether more than the head is free.
        stages: optional int, how many of the last stages then are; None means all of it.
    """
    backbone = model.backbone
    backbone.trainable = whole
    free = [block for stage in backbone.stages[-(stages or 0) :] for block in stage]
    if whole and stages is not None:
        for layer in backbone.layers:
            layer.trainable = layer in free
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    for block in free:
        for gate in (block.transform_gate, block.carry_gate):
            if whole and gate is not None and gate.is_constant():
                for norm in gate.norms:
                    norm.trainable = True


def finetune(
    preset,
    source,
    out,
    *,
    epochs=15,
    batch_size=32,
    learning_rate=1e-4,
    head_learning_rate=1e-2,
    held_out=0.2,
    head_only=False,
    stages=None,
    layer_decay=1.0,
    balance=False,
    patience=None,
    precision="float32",
    seed=0,
    data_dir=None,
    overwrite=False,
):
    """Fine-tunes a preset on labelled images and writes a new preset.

    The first third of the epochs trains the new head alone, the rest the whole network but
    its batch normalisation, which stays in inference mode. An interrupted run goes on when it is
    called again with the same arguments; until it is done its state lies in `out` + ".partial".

    Beside the preset its folder gets `curves.png`, `confusion.png`, `history.csv` and
    `held_out.csv`, the network's answer for each image held out.

    Args:
        preset: name or folder of the preset to start from.
        source: path of a folder with one folder of images for each class, or of two such folders
            `train` and `val`; of a CSV file with the columns file and label; or the name of
            a data set of TFDS, such as "beans" or "cifar10:train[:5%]".
        out: path of the preset's folder to make.
        epochs: int, passes over the training images.
        batch_size: int.
        learning_rate: float, of Adam on the whole network, where its cosine begins.
        head_learning_rate: float, of Adam on the head alone.
        held_out: float in (0, 1), the part of each class that is held out to score, unless the
            data are divided already.
        head_only: bool, whether everything but the new head is frozen.
        stages: optional int, how many of the last stages are trained; None means all, with the
            stem.
        layer_decay: float in (0, 1], by which the learning rate falls from block to block, from
            the head down.
        balance: bool, whether rare classes weigh as much in the loss as frequent ones.
        patience: optional int, after how many epochs without a better score to stop; then the best
            epoch's weights are kept. None means to go on, and the last epoch's.
        precision: "float32", "mixed_bfloat16" or "mixed_float16", of the training.
        seed: int, of split, head, order and augmentation.
        data_dir: TFDS's data directory.
        overwrite: bool, whether `out` may replace a preset.

    Returns:
        A dict: "preset", "base", "classes", "n" and "accuracy" of the held-out images as
        the network that was saved classifies them, "balanced_accuracy", the mean over the
        classes, "epochs" that were run, "parameters", "out".

    Raises:
        InputError: for a preset, folder, image, place or number that will not do; nothing
            is written then.
    """
    checks.whole("epochs", epochs, least=1, most=100_000)
    checks.whole("batch_size", batch_size, least=1, most=100_000)
    checks.real("learning_rate", learning_rate, least=0, most=100)
    checks.real("head_learning_rate", head_learning_rate, least=0, most=100)
    checks.real("held_out", held_out, least=1e-6, most=1, below=True)
    checks.real("layer_decay", layer_decay, least=1e-6, most=1)
    checks.one_of("precision", precision, PRECISIONS)
    checks.whole("seed", seed, least=0, most=2**31 - 1)
    if patience is not None:
        checks.whole("patience", patience, least=1, most=100_000)
    if stages is not None and head_only:
        raise checks.InputError(
            f"Expected either head_only or stages. Received both: stages={stages!r}. Leave one out."
        )
    check_target(out, overwrite=overwrite)
    place, base = resolve.resolve(preset)
    examples, *parts, divided = data.load_parts(source, held_out, seed, data_dir)
    keras.utils.set_random_seed(seed)
    model = from_preset(preset, labels=examples.names, dtype=precision)
    if stages is not None:
        checks.whole("stages", stages, least=1, most=len(model.backbone.stages))
    settings = {
        "base": base.name if base is not None else place.name,
        "data": f"{len(parts[0])} images of {len(examples.names)} classes",
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "head_learning_rate": head_learning_rate,
        "held_out": None if divided else held_out,
        "head_only": head_only,
        "stages": stages,
        "layer_decay": layer_decay,
        "balance": balance,
        "precision": precision,
        "seed": seed,
    }
    if patience is not None:
        settings["patience"] = patience
    out = Path(out).expanduser()
    progressed = Progressed(out.with_name(out.name + ".partial"), settings)
    converter = model.preprocessor.image_converter
    # The centre of each image in the size that the network's preprocessing gives it: the rest of
    # that finds nothing left to do, so that scores are those of the files.
    cached = dataclasses.replace(
        examples, images=data.resize(examples.images, converter, "reading")
    )
    train, held = (cached.take(part) for part in parts)
    weights = None
    if balance:
        counts = np.maximum(1, np.bincount(train.labels, minlength=len(examples.names)))
        weights = (len(train) / len(counts) / counts).tolist()
    # The head first, then all: a random head would distort the features (Kumar et al. 2022).
    head_epochs = epochs if head_only else -(-epochs // 3)
    phases = [(head_epochs, head_learning_rate, False), (epochs - head_epochs, learning_rate, True)]
    for number, (phase_epochs, rate, whole) in enumerate(phases):
        if number < progressed.phase:
            continue
        if phase_epochs:
            freeze(model, whole=whole, stages=stages)
            fit_examples(
                model,
                train,
                held,
                epochs=phase_epochs,
                batch_size=batch_size,
                learning_rate=rate,
                seed=seed,
                layer_decay=layer_decay,
                class_weights=weights,
                progressed=progressed,
            )
        progressed.phase, progressed.epoch = number + 1, 0
    if patience is not None:
        progressed.load_best(model.weights)
    if precision != "float32":
        model = portable(model)  # what is scored is what is saved
    history = progressed.history
    scores = evaluation.predict(model, held.images, progress="held out")
    answers = np.argmax(scores, -1)
    accuracy = evaluation.accuracy(scores, held.labels)
    origin = "measured after fine-tuning, on " + (
        "what the data hold out" if divided else f"a part of {held_out:g} held out by class"
    )
    metric = {
        "dataset": Path(str(source)).resolve().name,
        "split": "held out",
        "n": len(held),
        "metric": "accuracy",
        "value": accuracy,
        "resolution": converter.image_size[0],
        "crop_fraction": converter.crop_fraction,
        "origin": origin + ("" if patience is None else ", which also chose the epoch"),
    }
    recalls = [np.mean(answers[held.labels == i] == i) for i in np.unique(held.labels)]
    names = [examples.images.paths[i] for i in parts[1]]

    def extras(place):
        plots.plot_curves(history, place / "curves.png")
        plots.plot_confusion(held.labels, answers, held.names, place / "confusion.png")
        with (place / "history.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["epoch", *history])
            rows.writerows([i, *row] for i, row in enumerate(zip(*history.values()), start=1))
        with (place / "held_out.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "label", "predicted", "probability"])
            best = model.decode(scores, top=1)
            for path, label, (said,) in zip(names, held.labels, best):
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
    progressed.remove()
    return {
        "preset": record.name,
        "base": settings["base"],
        "classes": list(held.names),
        "n": len(held),
        "accuracy": accuracy,
        "balanced_accuracy": float(np.mean(recalls)),
        "epochs": progressed.epochs,
        "parameters": record.parameters,
        "out": str(out),
    }
