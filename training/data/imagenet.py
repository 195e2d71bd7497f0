"""ImageNet's photographs, however they were prepared, and accuracy on them."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_unrolled import checks
from keras_unrolled.data.crops import decode
from keras_unrolled.data.sources import RecordSource, read_class_folders
from keras_unrolled.progress import progress


def open_source(data_dir, split, names, *, smoke=False):
    """Finds ImageNet in a folder.

    Args:
        data_dir: path of TFDS's data directory with `imagenet2012/`; of a folder with shards
            `*SPLIT*.tfrecord*` or `*SPLIT*.array_record*`; or of one with `SPLIT/` (or `val/`)
            that has a folder for each class. With `smoke` it may itself hold the class folders.
        split: "train" or "validation".
        names: list of the classes' names.
        smoke: bool, whether classes may be missing.

    Returns:
        A source of `keras_unrolled.data.sources`.

    Raises:
        InputError: if none of these is there, with how to prepare it.
    """
    root = str(data_dir)
    if tf.io.gfile.isdir(os.path.join(root, "imagenet2012")):
        import tensorflow_datasets as tfds

        builder = tfds.builder("imagenet2012", data_dir=root)
        if split in builder.info.splits:
            return RecordSource(builder.info.splits[split].filepaths, names)
    shards = sorted(
        path
        for kind in ("tfrecord", "array_record")
        for path in tf.io.gfile.glob(os.path.join(root, f"*{split}*{kind}*"))
    )
    if shards:
        return RecordSource(shards, names)
    folders = [split, *(["val"] if split == "validation" else [])]
    for folder in [*(Path(root) / name for name in folders), *([Path(root)] if smoke else [])]:
        if folder.is_dir() and any(path.is_dir() for path in folder.iterdir()):
            return read_class_folders(folder, names, smoke=smoke)
    raise checks.InputError(
        f"Expected ImageNet's {split} split in {root}: imagenet2012/ as TFDS prepares it, shards "
        f"*{split}*.tfrecord* or *.array_record*, or {split}/ with a folder for each class. Found "
        "none of them. See docs/training.md for how to prepare it from ILSVRC2012_img_train.tar."
    )


def evaluate(model, source, *, batch_size=64, description=None):
    """Accuracy of a classifier on every image of a source, each seen once.

    Images are prepared by the preset's preprocessor, not as in training.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        source: a source.
        batch_size: int.
        description: optional string, the title of a progress bar on standard error.

    Returns:
        A dict: "n", "accuracy" and "top_5_accuracy".
    """
    import keras

    network = keras.Model(model.inputs, model.outputs)
    network.compile(jit_compile=model.jit_compile)

    def load(i):
        encoded, label = source.read(i)
        return model.preprocessor(decode(encoded)), label

    images = tf.data.Dataset.range(len(source)).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    top_1 = top_5 = 0
    bar = progress(
        total=len(source), description=description, unit="images", hidden=description is None
    )
    with bar:
        for x, y in images.batch(batch_size).prefetch(2):
            order = np.argsort(-network.predict_on_batch(x.numpy()), axis=-1, kind="stable")[:, :5]
            right = order == y.numpy()[:, None]
            top_1, top_5 = top_1 + int(right[:, 0].sum()), top_5 + int(right.sum())
            bar.update(len(y))
    count = len(source)
    return {"n": count, "accuracy": top_1 / count, "top_5_accuracy": top_5 / count}
