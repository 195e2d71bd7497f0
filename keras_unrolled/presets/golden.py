"""Golden inputs and outputs: what a preset must compute on every machine."""

import keras
import numpy as np

from keras_unrolled import data, models

INPUTS = ("tensor", "image", "characters")
SIDE = 32  # of the random tensor where no preprocessor names a size
WORDS, LETTERS = 5, 12  # of the random text


def outputs(model, inputs):
    """What a model computes of the golden inputs.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        inputs: dict of arrays. Of a classifier "tensor", float32 `(1, height, width, channels)`,
            given to the network as it is, and "image", uint8 `(1, height, width, channels)`,
            given to the preprocessor, if there is one; of a language model "characters", int32 `(1, words,
            characters)`.

    Returns:
        A dict of float arrays: "tensor_features", the backbone's last feature map, "tensor_scores"
        and "image_scores"; or "word_vectors", "features" and "scores" of the next word.
    """
    if isinstance(model, models.CharacterLM):
        characters = inputs["characters"]
        features = model.backbone(characters, training=False)
        values = {
            "word_vectors": model.backbone.read(characters, training=False),
            "features": features,
            "scores": model.score(features[:, -1], training=False),
        }
    else:
        values = {
            "tensor_features": model.backbone(inputs["tensor"], training=False),
            "tensor_scores": model(inputs["tensor"], training=False),
        }
        if model.preprocessor is not None:
            values["image_scores"] = model(model.preprocessor(inputs["image"]), training=False)
    return {k: keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for k, v in values.items()}


def write(model, path):
    """Writes golden inputs, random ones and a photograph, with a model's outputs."""
    rng = np.random.default_rng(0)
    if isinstance(model, models.CharacterLM):
        shape = (1, WORDS, LETTERS)
        inputs = {"characters": rng.integers(1, model.backbone.num_characters, shape, "int32")}
    else:
        converter = getattr(model.preprocessor, "image_converter", None)
        *sizes, channels = model.backbone.image_shape
        usual = getattr(converter, "image_size", None) or (SIDE, SIDE)
        size = [given or other for given, other in zip(sizes, usual)]
        tensor = rng.normal(size=(1, *size, channels)).astype("float32")
        image = data.load_sample().images[:1]
        if channels != 3:  # the photograph in gray, once for each channel
            image = np.repeat(image.mean(-1, keepdims=True).astype("uint8"), channels, -1)
        inputs = {"tensor": tensor, "image": image}
    np.savez_compressed(path, **inputs, **outputs(model, inputs))
