"""Golden inputs and outputs: what a preset must compute, wherever it is loaded."""

import keras
import numpy as np

from keras_unrolled import checks, data, models
from keras_unrolled.presets import registry
from keras_unrolled.presets.loading import from_preset

FILE = "golden.npz"
# Backends and processors add up in different orders; a wrong weight shows far above this.
RELATIVE, ABSOLUTE = 1e-3, 1e-4
INPUTS = ("tensor", "image", "characters")
SIDE = 32  # of the random tensor where no preprocessor names a size
WORDS, LETTERS = 5, 12  # of the random text


def outputs(model, inputs):
    """What a model computes of the golden inputs.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        inputs: dict of arrays. Of a classifier "tensor", float32 `(1, height, width, 3)`, given to
            the network as it is, and "image", uint8 `(1, height, width, 3)`, given to the
            preprocessor, if there is one; of a language model "characters", int32 `(1, words,
            characters)`.

    Returns:
        A dict of float arrays: "tensor_features", the backbone's last feature map, "tensor_scores"
        and "image_scores"; or "word_vectors", "features" and "scores" of the next word.
    """
    if isinstance(model, models.CharacterLM):
        characters = inputs["characters"]
        features = model.backbone(characters, training=False)
        found = {
            "word_vectors": model.backbone.read(characters, training=False),
            "features": features,
            "scores": model.score(features[:, -1], training=False),
        }
    else:
        found = {
            "tensor_features": model.backbone(inputs["tensor"], training=False),
            "tensor_scores": model(inputs["tensor"], training=False),
        }
        if model.preprocessor is not None:
            found["image_scores"] = model(model.preprocessor(inputs["image"]), training=False)
    return {k: keras.ops.convert_to_numpy(keras.ops.cast(v, "float32")) for k, v in found.items()}


def write(model, path):
    """Writes golden inputs, random ones and a photograph, with a model's outputs."""
    rng = np.random.default_rng(0)
    if isinstance(model, models.CharacterLM):
        shape = (1, WORDS, LETTERS)
        inputs = {"characters": rng.integers(1, model.backbone.num_characters, shape, "int32")}
    else:
        converter = getattr(model.preprocessor, "image_converter", None)
        size = getattr(converter, "image_size", None) or (SIDE, SIDE)
        tensor = rng.normal(size=(1, *size, 3)).astype("float32")
        inputs = {"tensor": tensor, "image": data.load_sample().images[:1]}
    np.savez_compressed(path, **inputs, **outputs(model, inputs))


def verify(preset, **hub_options):
    """Loads a preset and compares what it computes with its golden outputs.

    Args:
        preset: name, folder or address of a preset.
        **hub_options: "revision", "token" and "local_files_only", as in `from_preset`.

    Returns:
        A dict: "preset", "files", how many were compared with their hashes, and
        "differences", the largest absolute difference of each golden output.

    Raises:
        InputError: if a file differs from the record, if there is nothing to compare with,
            or if an output differs by more than 1e-3 relative and 1e-4 absolute.
    """
    folder, record = registry.resolve(preset, **hub_options)
    if record is None or FILE not in record.files:
        raise checks.InputError(
            f"Expected a record with {FILE} in {folder}. Found none: the preset was saved by "
            "something else. Load it with `from_preset` and save it anew with `save_preset`."
        )
    model = from_preset(folder, dtype="float32")
    with np.load(folder / FILE, allow_pickle=False) as file:
        golden = dict(file)
    inputs = {k: golden.pop(k) for k in INPUTS if k in golden}
    found = outputs(model, inputs)
    if not inputs or found.keys() != golden.keys():
        raise checks.InputError(
            f"Expected golden outputs of {record.name} in {folder / FILE}: {', '.join(found)}. Found "
            f"{', '.join(golden)}. The file belongs to another network: restore it."
        )
    differences = {}
    for name, expected in golden.items():
        differences[name] = float(np.abs(found[name] - expected).max())
        if not np.allclose(found[name], expected, rtol=RELATIVE, atol=ABSOLUTE):
            raise checks.InputError(
                f"Expected {record.name} to compute its golden {name}. Found a difference of "
                f"up to {differences[name]:.2g}. The libraries or the processor compute "
                "something else: compare their versions with those of the record."
            )
    return {"preset": record.name, "files": len(record.files), "differences": differences}
