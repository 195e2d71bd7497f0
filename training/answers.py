"""The teachers' answers to the views of some epochs, computed once."""

import contextlib
import json
from pathlib import Path

import keras
import numpy as np

from keras_unrolled import engine, files
from keras_unrolled.engine.checkpoint import check_same
from keras_unrolled.engine.objectives import ask_teachers
from keras_unrolled.layers.fused_mix import fused_mixing
from keras_unrolled.presets.resolve import resolve
from keras_unrolled.progress import progress
from training import job

IDENTITY = "views.json"
# What decides the views of an epoch.
SETTINGS = (
    *("seed", "batch_size", "holdout", "augmentation"),
    *("rand_augment", "mixup", "cutmix"),
)


class _Mean(keras.Model):
    """The mean answer of some classifiers."""

    def __init__(self, teachers):
        super().__init__(name="teachers")
        self.teachers = teachers

    def call(self, images):
        with fused_mixing():
            return ask_teachers(self.teachers, images)


def can_keep(strategy) -> bool:
    """Whether this process trains alone, and reads a stream of TensorFlow."""
    return keras.backend.backend() == "tensorflow" and engine.count_workers(strategy) == 1


def keep_answers(folder: Path, recipe, stream, names) -> np.ndarray:
    """The teachers' mean answers to the first `view_epochs` epochs of a stream, or to all that it has.

    Each epoch is a file in the folder, so that an interrupted computation goes on where it was.

    Args:
        folder: path of the folder that keeps the answers.
        recipe: an `ImageRecipe` with `teachers` and `view_epochs`.
        stream: an `ImageBatches`.
        names: the data's classes, which the teachers must have.

    Returns:
        A float32 array `(epochs * steps * batch, classes)`, in the order of the stream.

    Raises:
        InputError: for a folder with the answers of other teachers, or to other views; for teachers that
            do not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: getattr(recipe, name) for name in SETTINGS}
    wanted |= {"examples": len(stream.labels), "teachers": _identify(recipe.teachers)}
    with files.locked(folder):
        if (folder / IDENTITY).is_file():
            check_same(folder, files.read_json(folder / IDENTITY), wanted)
        files.write_text(folder / IDENTITY, json.dumps(wanted))
        epochs = min(recipe.view_epochs, recipe.epochs)
        places = [folder / f"{epoch:03d}.npy" for epoch in range(epochs)]
        missing = [epoch for epoch, place in enumerate(places) if not place.is_file()]
        if missing:
            student = job.build(recipe, labels=names)
            mean = _Mean(job.load_teachers(recipe, student))
            with contextlib.closing(_make_bar(missing, stream)) as bar:
                for epoch in missing:
                    answers = _answer(mean, stream, epoch, bar)
                    with files.replaced(places[epoch]) as aside, open(aside, "wb") as file:
                        np.save(file, answers)
        return np.concatenate([np.load(place) for place in places])


def _identify(teachers):
    """The hashes of the teachers' weights, by name, where they have a record."""
    records = {name: resolve(name)[1] for name in teachers}
    return {
        str(name): {} if record is None else {f: v["sha256"] for f, v in record.files.items()}
        for name, record in records.items()
    }


def _make_bar(missing, stream):
    return progress(
        total=len(missing) * stream.steps_per_epoch * stream.batch_size,
        description="teachers",
        unit="images",
    )


def _answer(mean, stream, epoch, bar):
    steps = stream.steps_per_epoch
    found = []
    for images, _ in stream(epoch * steps).take(steps):
        found.append(mean.predict_on_batch(images))
        bar.update(stream.batch_size)
    return np.concatenate(found).astype("float32")
