"""From a checkpoint of timm to a classifier."""

from pathlib import Path
from typing import Any

from keras_unrolled import checks, models
from keras_unrolled.convert import state_dict
from keras_unrolled.convert.timm.layout import WEIGHTS, network_variables, read_config
from keras_unrolled.layers.initial import awaiting_weights
from keras_unrolled.models.policies import get_policy

HEADS = ("fc.weight", "head.fc.weight")


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

    Example:
        >>> import keras_unrolled as ku
        >>> ku.convert.from_timm("resnet50.a1_in1k/")  # doctest: +SKIP
    """
    config = read_config(folder)
    if load_weights:
        path = Path(folder) / WEIGHTS
        weights = _read(path)
        shapes = (weights[name].shape for name in HEADS if name in weights)
        classes = (*next(shapes, ()), 0)[0]
        if classes != config["num_classes"]:  # before anything of that size is made
            raise checks.InputError(
                f"Expected weights for {config['num_classes']} classes in {path}. Found them "
                f"for {classes}. The file belongs to another configuration."
            )
    with awaiting_weights(load_weights):
        backbone = models.ImageBackbone(**config["network"], dtype=get_policy(dtype))
    model = models.ImageClassifier(
        backbone,
        config["num_classes"],
        labels=config["labels"],
        preprocessor=models.make_preprocessor(config["preprocessing"]),
    )
    if load_weights:
        state_dict.assign(network_variables(model), weights, str(path))
    return model


def _read(path):
    if not path.is_file():
        pickled = path.with_name("pytorch_model.bin").is_file()
        hint = (
            "pytorch_model.bin is not opened, for a pickle can run code: save it as safetensors."
            if pickled
            else "Is the folder complete?"
        )
        raise checks.InputError(f"Expected weights in {path}. Found no such file. {hint}")
    return state_dict.to_arrays(state_dict.read_safetensors(path), str(path))
