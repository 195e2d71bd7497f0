"""From a checkpoint of timm to a classifier."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.convert.timm.layout import WEIGHTS, network_variables, read_config


def from_timm(folder: str | Path, *, load_weights: bool = True, dtype: Any = None) -> Any:
    """A classifier from a checkpoint of timm, with timm's preprocessing.

    Images are prepared for the size that the network was trained at (`input_size`), as
    `timm.data.resolve_model_data_config` does. A network of 1,000 classes without names of
    its own is taken to know ImageNet-1k.

    Args:
        folder: path of a folder with `config.json` and `model.safetensors`.
        load_weights: bool; without, the weights are random.
        dtype: optional dtype policy, such as "mixed_bfloat16".

    Returns:
        An `ImageClassifier` with residual gating that outputs logits.

    Raises:
        InputError: for a network of another kind, by its name and with the reason, and for
            weights that are not all of this network's, or not finite.
    """
    config = read_config(folder)
    if load_weights:
        path = Path(folder) / WEIGHTS
        shapes = _read_shapes(path)
        head = shapes.get("fc.weight") or shapes.get("head.fc.weight") or [0]
        if head[0] != config["num_classes"]:  # before anything of that size is made
            raise checks.InputError(
                f"Expected weights for {config['num_classes']} classes in {path}. Found them "
                f"for {head[0]}. The file belongs to another configuration."
            )
    backbone = models.ImageBackbone(**config["network"], dtype=dtype)
    model = models.ImageClassifier(
        backbone,
        config["num_classes"],
        labels=config["labels"],
        preprocessor=models.make_preprocessor(config["preprocessing"]),
    )
    if load_weights:
        _assign(model, path, shapes)
    return model


def _open(path):
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        pickled = path.with_name("pytorch_model.bin").is_file()
        hint = (
            "pytorch_model.bin is not opened, for a pickle can run code: save it as safetensors."
            if pickled
            else "Is the folder complete?"
        )
        raise checks.InputError(f"Expected weights in {path}. Found no such file. {hint}")
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected a file of safetensors in {path}. Found one that cannot be read "
            f"({error}). Restore it."
        ) from error


def _read_shapes(path):
    """Shape by name, of every tensor but counters of batches."""
    with _open(path) as file:
        return {
            name: list(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118  it is not a dict
            if not name.endswith(".num_batches_tracked")
        }


def _assign(model, path, shapes):
    layout = network_variables(model)
    missing = [name for name, _ in layout if name not in shapes]
    unknown = sorted(shapes.keys() - {name for name, _ in layout})
    if missing or unknown:
        raise checks.InputError(
            f"Expected the {len(layout)} weights of the network in {path}. Missing: "
            f"{', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}. "
            "The file belongs to another network."
        )
    with _open(path) as file:
        for name, variable in layout:
            try:
                values = file.get_tensor(name)
            except TypeError as error:
                raise checks.InputError(
                    f"Expected weights of float32, float16 or float64 in {path}. {name} is of "
                    f"another type ({error}). Save the checkpoint in float32."
                ) from error
            values = values.astype("float64")  # a wider type than any of theirs
            if values.ndim == 4:
                values = values.transpose(2, 3, 1, 0)
            if name.endswith("fc.weight"):
                values = values.reshape(values.shape[-2:]) if values.ndim == 4 else values.T
            if values.shape != tuple(variable.shape):
                raise checks.InputError(
                    f"Expected {name} in {path} for a variable of shape {tuple(variable.shape)}. "
                    f"Found {shapes[name]}. The file belongs to another network."
                )
            if not np.isfinite(values).all():
                raise checks.InputError(
                    f"Expected finite weights in {path}. Found NaN or infinity in {name}. "
                    "The file is damaged or its training failed: take another."
                )
            variable.assign(values)
