"""A small network with class names and pictures for it."""

import numpy as np
from PIL import Image

from keras_unrolled import data, models
from tests.nets import randomize

LABELS = ["cat", "dog", "frog", "ship"]


def make_model(gating="full", seed=0, blocks=(2, 2)):
    """A classifier of four classes and pictures of 8 x 8 pixels, of two stages."""
    backbone = models.ImageBackbone(
        stackwise_num_filters=[4, 8],
        stackwise_num_blocks=list(blocks),
        stackwise_num_strides=[1, 2],
        stem="cifar",
        stem_filters=4,
        gating=gating,
        image_shape=(8, 8, 3),
    )
    model = models.ImageClassifier(
        backbone,
        4,
        labels=LABELS,
        preprocessor=models.make_preprocessor("cifar", backbone.image_shape),
    )
    randomize(model, seed)
    return model


def make_examples(count=40, seed=0):
    """`Examples` of four classes in turn."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 3)).astype("uint8")
    return data.Examples(images, np.arange(count) % 4, tuple(LABELS), "made up")


def write_pictures(folder, count, seed=0):
    """Writes pictures of several sizes into one folder; returns it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        image = rng.integers(0, 256, (8 + i % 3, 9, 3)).astype("uint8")
        Image.fromarray(image).save(folder / f"{i:02d}.png")
    return folder
