"""Small classifiers to export, which tell dark pictures from light ones."""

import keras
import numpy as np

from keras_unrolled import data, models
from tests.nets import make_net, randomize

LABELS = ["dark", "light"]


def read_images(count, channels=3):
    """Pictures of the sample, uint8 `(count, 32, 32, channels)`, and whether each is light."""
    images = data.load_sample().images[:count]
    brightness = images.mean((1, 2, 3))
    light = (brightness > np.median(brightness)).astype("int64")
    return images[..., np.arange(channels) % 3], light


def make_model(name="coupled", *, channels=3, labels=LABELS, fit=False, dtype=None, **converter):
    """A random network that sees the central 28x28 of 32x32 pixels, with its head fitted or not."""
    backbone = make_net(
        name, image_shape=(None, None, channels), stackwise_num_blocks=[1, 1], dtype=dtype
    )
    settings = {"image_size": (28, 28), "crop_fraction": 0.875, "mean": [0.5], "std": [0.25]}
    preprocessor = models.make_preprocessor({**settings, **converter}, (None, None, channels))
    model = models.ImageClassifier(backbone, 2, labels=labels, preprocessor=preprocessor)
    randomize(model)
    if fit:
        images, light = read_images(300, channels)
        features = np.asarray(model.backbone(model.preprocessor(images))).mean((1, 2))
        dark_mean, light_mean = (features[light == i].mean(0) for i in range(2))
        direction = light_mean - dark_mean
        direction *= 4 / (direction @ direction)
        middle = direction @ (dark_mean + light_mean) / 2
        model.output_dense.kernel.assign(np.column_stack([-direction, direction]))
        model.output_dense.bias.assign([middle, -middle])
    return model


def predict(model, images):
    """Probabilities by the model's own `predict`."""
    scores = model.predict(images, verbose=0).astype("float64")
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def call(network, images):
    """What a network that is to be exported gives for images."""
    return keras.ops.convert_to_numpy(network(images, training=False)["probabilities"])
