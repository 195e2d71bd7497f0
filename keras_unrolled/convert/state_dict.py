"""State dicts, PyTorch's form of weights: reading them from files and into a network."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.convert.values import check_values

SAFETENSORS = ".safetensors"
PICKLED = (".pt", ".pth", ".th", ".bin", ".ckpt", ".pth.tar")  # read with torch
SUFFIXES = (SAFETENSORS, *PICKLED)
# Where training programs put the state dict in their checkpoints; the first that is there counts.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "model_state", "network")
# What PyTorch's wrappers and training programs put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
COUNTERS = ("num_batches_tracked", "n_averaged")  # they are no weights
_NUMBERS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


def read(path: Path) -> Any:
    """What a file holds: for a state dict, a dict from names to arrays or tensors.

    Args:
        path: path of a file that ends in one of `SUFFIXES`.

    Raises:
        InputError: if there is no such file, it cannot be read, or torch is needed and missing.
    """
    if not path.is_file():
        raise checks.InputError(f"Expected weights in {path}. Found no such file. Check the path.")
    return read_safetensors(path) if path.name.endswith(SAFETENSORS) else _read_pickled(path)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of safetensors by name; bfloat16 becomes float32.

    Raises:
        InputError: if the file is damaged, or a tensor's type has no counterpart in NumPy.
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected a file of safetensors in {path}. Found one that cannot be read "
            f"({error}). Restore it."
        ) from error
    return {name: _decode(name, entry, path) for name, entry in entries}


def _decode(name, entry, path):
    if entry["dtype"] == "BF16":  # the upper half of a float32
        wide = np.frombuffer(entry["data"], "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(entry["shape"])
    if entry["dtype"] not in _NUMBERS:
        raise checks.InputError(
            f"Expected weights of float32, float16, bfloat16 or float64 in {path}. {name} is of "
            f"another type, {entry['dtype']}. Save the checkpoint in float32."
        )
    return np.frombuffer(entry["data"], _NUMBERS[entry["dtype"]]).reshape(entry["shape"])


def _read_pickled(path):
    try:
        import torch
    except ImportError as error:
        raise checks.InputError(
            f"Expected PyTorch to read {path}. It is not installed. Install it (pip install "
            "torch), or convert the file where it is: safetensors.torch.save_file("
            'torch.load("weights.pth", weights_only=True), "weights.safetensors").'
        ) from error
    try:
        with warnings.catch_warnings():  # of TorchScript, which is rejected below
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, from pickle, zipfile and torch
        if "TorchScript" in str(error):
            raise checks.InputError(
                f"Expected a state dict in {path}. Found a TorchScript program. Save the state "
                "dict of the model: torch.save(model.state_dict(), ...)."
            ) from error
        if "nsupported global" in str(error) or "nsupported class" in str(error):
            raise checks.InputError(
                f"Expected a state dict in {path}, which holds tensors only. Found Python objects, "
                "such as a whole model or the options of its training, which are not loaded since "
                "they can run code. Where you trust the file, save the state dict alone: "
                "torch.save(model.state_dict(), ...)."
            ) from error
        reason = (str(error).splitlines() or [""])[0][:200]
        raise checks.InputError(
            f"Expected a file that torch.save wrote in {path}. Found one that cannot be read "
            f"({type(error).__name__}: {reason}). Is it complete?"
        ) from error


def to_arrays(state: Any, where: str) -> dict[str, np.ndarray]:
    """The weights of a state dict by name, without wrappers, prefixes and counters.

    Args:
        state: a state dict, or a checkpoint that has one under one of `WRAPPERS`. Values are
            arrays or torch's tensors.
        where: where it comes from, for messages.

    Returns:
        A dict from name to array.

    Raises:
        InputError: if it is no state dict.
    """
    weights = _unwrap(state, where)
    names = [name for name in weights if not name.endswith(COUNTERS)]
    cut = len(_common_prefix(names))
    return {name[cut:]: _to_array(name, weights[name], where) for name in names}


def _is_tensor(value):
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_state_dict(state):
    return (
        isinstance(state, Mapping)
        and all(isinstance(name, str) for name in state)
        and any(_is_tensor(value) for value in state.values())
    )


def _unwrap(state, where):
    if isinstance(state, Mapping):
        for name in WRAPPERS:
            if _is_state_dict(state.get(name)):
                return state[name]
    if _is_state_dict(state):
        return state
    if isinstance(state, Mapping):
        found = f"a dict of {', '.join(map(repr, list(state)[:6])) or 'nothing'}"
    else:
        found = f"a {type(state).__name__}"
    raise checks.InputError(
        f"Expected a state dict in {where}: names and their tensors, or such a dict under one of "
        f"{', '.join(map(repr, WRAPPERS))}. Found {found}. Save model.state_dict()."
    )


def _common_prefix(names):
    prefix = ""
    while True:
        rest = [name[len(prefix) :] for name in names]
        more = [p for p in PREFIXES if rest and all(name.startswith(p) for name in rest)]
        if not more:
            return prefix
        prefix += more[0]


def _to_array(name, value, where):
    try:
        if hasattr(value, "detach"):  # a tensor of torch, perhaps on a GPU, perhaps in bfloat16
            value = value.detach().cpu()
            value = (value.float() if value.is_floating_point() else value).numpy()
        array = np.asarray(value)
        if array.dtype.kind in "bcmMOSU":
            raise TypeError(f"of {array.dtype}")
        if array.dtype.kind not in "fiu":
            array = array.astype("float32")  # bfloat16 among others, which NumPy has not
    except Exception as error:  # quantized and sparse tensors, and what is no tensor
        raise checks.InputError(
            f"Expected dense tensors of real numbers in {where}. {name} is another thing, a "
            f"{type(value).__name__} ({str(error)[:200]}). Save the state dict in float32."
        ) from error
    return array


def check(pairs: list[tuple[str, Any]], weights: Mapping[str, np.ndarray], where: str) -> None:
    """Raises `InputError` unless weights are those of a network, all and no others, and in range.

    Args:
        pairs: list of pairs of a weight's name and its variable.
        weights: arrays by name in PyTorch's layout: kernels `(out, in, height, width)`, dense ones
            `(out, in)` or `(out, in, 1, 1)`.
        where: where they come from, for messages.
    """
    names = {name for name, _ in pairs}
    missing = [name for name, _ in pairs if name not in weights]
    unknown = sorted(weights.keys() - names)
    if missing or unknown:
        raise checks.InputError(
            f"Expected the {len(pairs)} weights of the network in {where}. Missing: "
            f"{', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}. "
            "The file belongs to another network."
        )
    for name, variable in pairs:
        values = weights[name]
        if _transpose(name, values).shape != tuple(variable.shape):
            raise checks.InputError(
                f"Expected {name} in {where} for a variable of shape {tuple(variable.shape)}. "
                f"Found {list(values.shape)}. The file belongs to another network."
            )
        check_values(name, values, keras.backend.standardize_dtype(variable.dtype), where)


def assign(pairs: list[tuple[str, Any]], weights: Mapping[str, np.ndarray], where: str) -> None:
    """Assigns weights in PyTorch's layout to variables in Keras's, once `check` allows it.

    Takes the arguments of `check` and raises what it raises.
    """
    check(pairs, weights, where)
    for name, variable in pairs:
        variable.assign(_transpose(name, weights[name]).astype("float64"))


def _transpose(name, values):
    """A weight in Keras's layout."""
    if values.ndim == 4:
        values = values.transpose(2, 3, 1, 0)
    if name.endswith("fc.weight"):
        return values.reshape(values.shape[-2:]) if values.shape[:2] == (1, 1) else values.T
    return values
