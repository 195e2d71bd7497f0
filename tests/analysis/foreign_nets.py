"""Small functional residual nets, written as other people do."""

import keras
import keras_hub
from keras import layers

from tests.nets import randomize

SIZE, CLASSES = 12, 4


def add_layer(a, b):
    return layers.Add()([a, b])


def add_function(a, b):
    return layers.add([a, b])


def add_operator(a, b):
    return a + b


def post_block(x, width, name, *, strides=1, add=add_layer, relu=keras.activations.relu):
    """A basic block; its layers' names begin with `name`."""
    shortcut = x
    if strides > 1 or x.shape[-1] != width:
        shortcut = layers.Conv2D(width, 1, strides, name=f"{name}_conv0")(x)
        shortcut = layers.BatchNormalization(name=f"{name}_norm0")(shortcut)
    y = layers.Conv2D(width, 3, strides, padding="same", name=f"{name}_conv1")(x)
    y = layers.BatchNormalization(name=f"{name}_norm1")(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv2")(y)
    y = layers.BatchNormalization(name=f"{name}_norm2")(y)
    return relu(add(shortcut, y))


def as_model(block):
    """The block as a model of its own."""

    def apply(x, *args, **kwargs):
        inner = keras.Input(x.shape[1:])
        return keras.Model(inner, block(inner, *args, **kwargs))(x)

    return apply


def attention_block(x, width, name, *, strides=1):
    """A basic block with attention to channels, from two poolings that are added."""

    def attend(shortcut, y):
        average = layers.GlobalAveragePooling2D(keepdims=True)(y)
        squeezed = average + layers.GlobalMaxPooling2D(keepdims=True)(y)
        gate = layers.Conv2D(y.shape[-1], 1, activation="sigmoid")(squeezed)
        return layers.Add()([shortcut, layers.Multiply()([y, gate])])

    return post_block(x, width, name, strides=strides, add=attend)


def hand_written(block=post_block, *, activation=None, head=None, **options):
    """Two stages of three and two blocks: "a", "b", "c" and "d", "e"."""
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", name="first")(images)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    for name in "abc":
        x = block(x, 8, name, **options)
    x = block(x, 12, "d", strides=2, **options)
    x = block(x, 12, "e", **options)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(CLASSES, activation=activation, name="last")(x)
    model = keras.Model(images, head(x) if head else x)
    randomize(model)
    return model


def in_sequence():
    """A functional net within a sequential one."""
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Rescaling(0.5), hand_written()])
    randomize(model)
    return model


def linear_bottlenecks():
    """Inverted residuals: those that change the shape have no addition."""

    def block(x, width, name, *, strides=1):
        y = layers.Conv2D(2 * x.shape[-1], 1)(x)
        y = layers.BatchNormalization()(y)
        y = layers.ReLU(6.0)(y)
        y = layers.DepthwiseConv2D(3, strides, padding="same")(y)
        y = layers.Conv2D(width, 1)(y)
        y = layers.BatchNormalization()(y)
        return layers.Add()([x, y]) if y.shape == x.shape else y

    return hand_written(block)


def hub(pre=False, block_type="basic_block", *, classes=CLASSES, **options):
    """A KerasHub classifier of three stages; its first one has to be 64 wide."""
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8, 8],
        stackwise_num_blocks=[1, 2, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type=block_type,
        use_pre_activation=pre,
    )
    model = keras_hub.models.ResNetImageClassifier(backbone, num_classes=classes, **options)
    randomize(model)
    return model


def preprocessor():
    """What turns images into the input of `hub`."""
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(24, 24), scale=[1 / 60, 1 / 55, 1 / 50], offset=[-2.0, -1.9, -1.8]
    )
    return keras_hub.models.ResNetImageClassifierPreprocessor(converter)


def silence(norm):
    """Lets a batch normalization give zeros."""
    norm.gamma.assign(norm.gamma * 0)
    norm.beta.assign(norm.beta * 0)
