"""Golden inputs and outputs: what a preset must compute on every machine."""

import math
import zipfile

import keras
import numpy as np

from keras_unrolled import checks, data, models
from keras_unrolled.presets import layout

INPUTS = ("tensor", "image", "characters")
OUTPUTS = ("tensor_features", "tensor_scores", "image_scores", "word_vectors", "features", "scores")
SIDE = 32  # of the random tensor where no preprocessor names a size
WORDS, LETTERS = 5, 12  # of the random text
MOST_BYTES = 2**27  # of all arrays, unpacked
MOST_SIDE, MOST_LETTERS = 4_096, 64  # of the image, and of words and their letters


def outputs(model, inputs):
    """What a model computes of the golden inputs.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        inputs: dict of arrays. Of a classifier "tensor", float32 `(1, height, width, channels)`,
            given to the network as it is, and "image", uint8 `(1, height, width, channels)`,
            given to the preprocessor, if there is one; of a language model "characters", int32
            `(1, words, characters)`.

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
        shape = _find_shape(model)
        image = data.load_sample().images[:1]
        if shape[-1] != 3:  # the photograph in gray, once for each channel
            image = np.repeat(image.mean(-1, keepdims=True).astype("uint8"), shape[-1], -1)
        inputs = {"tensor": rng.normal(size=shape).astype("float32"), "image": image}
    np.savez_compressed(path, **inputs, **outputs(model, inputs))


def read(path, model):
    """Golden inputs for a model and the outputs that belong to them.

    What the file declares is compared with limits and with the model before it is unpacked: a few
    kilobytes can declare gigabytes.

    Args:
        path: path of the file that `write` made.
        model: the model that it was made with.

    Returns:
        Two dicts of arrays: inputs, as `outputs` takes them, and outputs.

    Raises:
        InputError: if the file is damaged, or its arrays are not those of such a model.
    """
    try:
        if path.stat().st_size > layout.MOST_GOLDEN:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        with zipfile.ZipFile(path) as archive:
            arrays = _unpack(archive)
        _check_inputs(arrays, model)
    except Exception as error:  # whatever damage leads to
        raise checks.InputError(
            f"Expected golden inputs and outputs in {path}. Found something else "
            f"({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error
    return (
        {name: arrays[name] for name in INPUTS if name in arrays},
        {name: arrays[name] for name in OUTPUTS if name in arrays},
    )


def _unpack(archive):
    """The arrays of an archive of `.npy` files, each as large as its header says."""
    members = archive.infolist()
    names = [member.filename.removesuffix(".npy") for member in members]
    if len(set(names)) != len(names) or not set(names) <= {*INPUTS, *OUTPUTS}:
        raise ValueError(f"it holds {', '.join(names)[:100]}")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise ValueError(f"it unpacks to more than {MOST_BYTES:,} bytes")
    arrays = {}
    for name, member in zip(names, members):
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, is_fortran, dtype = read_header(file)
            size = math.prod(shape) * dtype.itemsize
            if dtype.kind not in "fiu" or file.tell() + size != member.file_size:
                raise ValueError(f"{name} of {shape} {dtype} has {member.file_size:,} bytes")
            content = file.read(size)
        flat = np.frombuffer(content, dtype)
        arrays[name] = flat.reshape(shape, order="F") if is_fortran else flat.reshape(shape)
    return arrays


def _check_inputs(arrays, model):
    """Rejects inputs that `write` would not make for a model."""
    if isinstance(model, models.CharacterLM):
        characters = arrays["characters"]
        fits = characters.ndim == 3 and len(characters) == 1 and characters.dtype == np.int32
        fits = fits and all(1 <= size <= MOST_LETTERS for size in characters.shape)
        if (
            not fits
            or not 0 <= characters.min() <= characters.max() < model.backbone.num_characters
        ):
            raise ValueError(f"characters of {characters.shape} {characters.dtype}")
        return
    tensor, image = arrays["tensor"], arrays["image"]
    shape = _find_shape(model)
    if tensor.shape != shape or tensor.dtype != np.float32:
        raise ValueError(f"tensor of {tensor.shape} {tensor.dtype}")
    fits = image.ndim == 4 and (len(image), image.shape[-1]) == (1, shape[-1])
    fits = fits and image.dtype == np.uint8 and all(1 <= n <= MOST_SIDE for n in image.shape[1:3])
    if not fits:
        raise ValueError(f"image of {image.shape} {image.dtype}")


def _find_shape(model):
    """The shape of the golden tensor: the backbone's, else the size of its images, else the usual."""
    converter = getattr(model.preprocessor, "image_converter", None)
    *sizes, channels = model.backbone.image_shape
    usual = getattr(converter, "image_size", None) or (SIDE, SIDE)
    return (1, *(size or other for size, other in zip(sizes, usual)), channels)
