"""Models that are no stack of residual blocks are rejected with the reason."""

import keras
import keras_hub
import pytest
from keras import layers, ops

from keras_unrolled import InputError, models
from keras_unrolled.analysis.stack import as_stack
from tests.analysis import foreign_nets as nets


def conv(x, width=4, size=3, strides=1):
    return layers.Conv2D(width, size, strides, padding="same")(x)


def finish(images, x, classes=3, activation=None):
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes, activation=activation)(x))


def image(channels=4):
    return keras.Input((16, 16, channels))


def residual(x):
    return layers.ReLU()(x + conv(conv(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


class OwnCall(keras.Model):
    def call(self, x, training=None):
        return 2 * super().call(x, training=training)


class ResidualBlock(layers.Layer):
    def call(self, x):
        return x + ops.sin(x)


def make_own_call():
    x = image()
    return OwnCall(x, finish(x, residual(x)).output)


def make_plain():
    x = image()
    return finish(x, conv(conv(x)))


def make_hidden():
    x = image()
    return finish(x, ResidualBlock()(x))


def make_three():
    x = image()
    return finish(x, residual(layers.Add()([x, conv(x), conv(conv(x))])))


def make_chained():
    x = image()
    return finish(x, residual(x + conv(x) + conv(conv(x))))


def make_transformer():
    x = image()
    tokens = layers.Reshape((64, 16))(conv(x))
    attention = layers.MultiHeadAttention(2, 4)(tokens, tokens)
    tokens = layers.Add()([tokens, attention])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens)))


def make_unet(residuals):
    x = image()
    left = residual(x)
    middle = layers.UpSampling2D()(residual(conv(left, strides=2)))
    if residuals:
        return finish(x, layers.Add()([left, middle]))
    return finish(x, residual(conv(layers.Concatenate()([left, middle]))))


def make_equal():
    x = image()
    return finish(x, layers.Add()([conv(x), conv(x, size=1)]))


def make_two_inputs():
    x = image()
    other = keras.Input((2,))
    return keras.Model([x, other], [finish(x, residual(x)).output, layers.Dense(2)(other)])


def make_features():
    x = image()
    return keras.Model(x, layers.GlobalAveragePooling2D()(residual(x)))


def make_sigmoid():
    x = image()
    return finish(x, residual(x), activation="sigmoid")


def make_misfit():
    x = keras.Input((None, None, 4))
    half = layers.AveragePooling2D(3)(x)
    y = layers.MaxPooling2D(3, padding="same")(conv(x))
    return finish(x, layers.Add()([half, y]))


def vit():
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(16, 16, 3),
        patch_size=(8, 8),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=8,
    )
    return keras_hub.models.ViTImageClassifier(backbone, num_classes=3)


CASES = {
    "subclassed": (Subclassed, "Subclassed, which is subclassed"),
    "another call": (make_own_call, "OwnCall, which is subclassed"),
    "unbuilt": (lambda: keras.Sequential([layers.Dense(3)]), "not built yet"),
    "no additions": (make_plain, "without such additions"),
    "sequential": (
        lambda: keras.Sequential([image(), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]),
        "without such additions",
    ),
    "own layers": (make_hidden, "within its layers ResidualBlock is not seen"),
    "three addends": (make_three, "addition of 3"),
    "two additions": (make_chained, "passes by an addition"),
    "tokens": (make_transformer, "sequences of tokens"),
    "ViT": (vit, "ViTEncoder, ViTPatchingAndEmbedding is not seen"),
    "U-Net": (lambda: make_unet(False), "passes by an addition"),
    "U-Net that adds": (lambda: make_unet(True), "passes by an addition"),
    "equal branches": (make_equal, "as many layers"),
    "two inputs": (make_two_inputs, "inputs .*16, 16, 4.*outputs"),
    "no top": (make_features, "has no such layer. Build it with its top"),
    "maps": (lambda: keras.Model(x := image(), residual(x)), "Build it with its top"),
    "backbone": (lambda: nets.hub().backbone, "pass the ImageClassifier"),
    "our backbone": (
        lambda: models.resnet(8, dataset="cifar").backbone,
        "within its layers Block, Stem is not seen",
    ),
    "sigmoid": (make_sigmoid, "ends in sigmoid"),
    "sizes": (make_misfit, "takes images of 256 x 256 pixels"),
}


@pytest.mark.parametrize("name", CASES)
def test_model_that_is_no_stack_is_rejected_with_the_reason(name):
    make, reason = CASES[name]
    with pytest.raises(InputError, match=reason) as caught:
        as_stack(make())
    assert str(caught.value).startswith("Expected ")
    assert "Received" in str(caught.value)
