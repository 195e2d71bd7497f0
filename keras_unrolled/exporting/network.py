"""The exported network: raw images to probabilities, with the preprocessing inside."""

from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unrolled import checks, convert, evaluation, models
from keras_unrolled.presets.saving import portable

Size = tuple[int, int]


def check_model(model: Any) -> None:
    """Raises `InputError` for what is no classifier of this package with its preprocessing."""
    if isinstance(model, models.CharacterLM):
        raise checks.InputError(
            "Expected an image classifier to export. Received a language model. Use it with "
            "keras-unrolled generate and keras-unrolled evaluate."
        )
    if not isinstance(model, models.ImageClassifier):
        raise checks.InputError(
            "Expected a preset's name or an ImageClassifier. Received a "
            f"{type(model).__name__}. Export others with Keras's model.export(path)."
        )
    converter = getattr(model.preprocessor, "image_converter", None)
    if not isinstance(converter, models.ImageConverter):
        raise checks.InputError(
            "Expected a classifier with a preprocessor, which becomes part of the exported network. "
            "Received one without. Build it with preprocessor=models.make_preprocessor(...)."
        )


def find_size(model: Any, image_size: Size | None, *, fixed: bool) -> Size | None:
    """The size of the images that an exported network takes.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        image_size: optional `(height, width)` that was asked for; the default is the size to which the
            preprocessor resizes before it cuts out the center.
        fixed: bool, whether the format needs a size.

    Returns:
        `(height, width)`, or None for any size.

    Raises:
        InputError: for a size below the one that the preprocessor cuts out, or another than the
            network's where nothing is resized.
    """
    converter = model.preprocessor.image_converter
    if converter.image_size is not None:
        if image_size is not None and any(a < b for a, b in zip(image_size, converter.image_size)):
            raise checks.InputError(
                f"Expected images of at least {_show(converter.image_size)} pixels, which the network "
                f"sees. Received: {_show(image_size)}. Choose a larger size, such as "
                f"{_show(converter.resizing.full_size)}."
            )
        return (image_size or converter.resizing.full_size) if fixed else None
    known = model.backbone.image_shape[:2]
    if None in known:
        if fixed and image_size is None:
            raise checks.InputError(
                "Expected the size of the images: the network takes any, and this format needs one. "
                "Received none. Pass --size H W (in Python: image_size=(height, width))."
            )
        return image_size
    if image_size not in (None, known):
        raise checks.InputError(
            f"Expected images of {_show(known)} pixels, since this network's preprocessor does not "
            f"resize. Received: {_show(image_size)}. Leave the size out."
        )
    return known


def as_float32(model: Any) -> Any:
    """A copy of a classifier that computes in float32.

    Raises:
        InputError: for a quantized model, and for weights that are not finite.
    """
    model = portable(model)
    if model.backbone.dtype_policy.name == "float32":
        return model
    config = {**model.get_config(), "compile": False}
    config["backbone"]["config"]["dtype"] = "float32"
    copy = type(model).from_config(config)
    for ours, theirs in zip(copy.variables, model.variables, strict=True):
        ours.assign(ops.cast(theirs, "float32"))
    return copy


def build(model: Any, size: Size | None) -> keras.Model:
    """The network to export.

    Args:
        model: an `ImageClassifier` with a preprocessor, in float32.
        size: `(height, width)` of the images, or None for any.

    Returns:
        A `keras.Model` from "images", uint8 `(batch, height, width, channels)`, to "probabilities",
        float32 `(batch, num_classes)`.
    """
    network = model if model.backbone.normalization == "group" else convert.fold(model)
    shape = (*(size or (None, None)), model.backbone.image_shape[-1])
    images = keras.Input(shape, dtype="uint8", name="images")
    converter = network.preprocessor.image_converter
    x = images if size is None or converter.image_size is None else _resize(images, converter)
    scores = network(converter(x))
    if network.activation is None:
        scores = keras.layers.Softmax(dtype="float32", name="probabilities")(scores)
    return keras.Model(images, {"probabilities": scores}, name="exported")


def _resize(images, converter):
    """Images as the preprocessor resizes them before it cuts out the center.

    Resizing is linear, so that for one size it is a product with a matrix on either side. Neither
    ONNX nor LiteRT has Keras's operation, which filters before it makes an image smaller.
    """
    height, width, channels = images.shape[1:]
    new_height, new_width = converter.resizing.resized_size(height, width)
    if (new_height, new_width) == (height, width):
        return images
    x = ops.cast(images, "float32")
    x = ops.matmul(
        _weights(height, new_height, converter), ops.reshape(x, (-1, height, width * channels))
    )
    x = ops.reshape(x, (-1, new_height, width, channels))
    x = ops.matmul(_weights(width, new_width, converter), x)
    return ops.clip(ops.round(x), 0, 255)  # as the preprocessor rounds


def _weights(size, new_size, converter):
    """The matrix `(new_size, size)` that resizes one side of an image."""
    identity = np.eye(size, dtype="float32")[..., None]
    resized = ops.image.resize(
        identity,
        size=(new_size, size),
        interpolation=converter.interpolation,
        antialias=converter.antialias,
        data_format="channels_last",
    )
    return ops.convert_to_numpy(resized)[..., 0]


def predict(model: Any, images: Any) -> np.ndarray:
    """Probabilities `(n, num_classes)` of raw images, computed by Keras."""
    with _full_precision():
        scores = evaluation.predict(model, images)
    if model.activation is None:
        scores = ops.convert_to_numpy(ops.softmax(scores.astype("float32")))
    return scores


@contextmanager
def _full_precision():
    """Turns off TensorFloat-32, with which a GPU rounds float32 to eleven bits in products."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def signature(network: keras.Model) -> list[Any]:
    """What Keras's exporters call the network's input."""
    return [keras.InputSpec(shape=network.inputs[0].shape, dtype="uint8", name="images")]


def _show(size):
    return " x ".join(map(str, size))
