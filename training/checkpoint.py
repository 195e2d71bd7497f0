"""Checkpoints of a run: every variable and where it stood, written aside and renamed."""

import json
import os
import re
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_unrolled import checks

FILE = "checkpoint.npz"


def _named(variables):
    # Order makes names unique. Keras numbers its automatic names through a process
    # ("seed_generator_12"); the numbers mean nothing in the next one.
    return {
        f"{i:05d} {re.sub(r'_[0-9]+(?=/|$)', '', variable.path)}": variable
        for i, variable in enumerate(variables)
    }


def save(folder, variables, state):
    """Writes `FOLDER/checkpoint.npz`, replacing the last one only when complete.

    Args:
        folder: path of the run's folder.
        variables: list of Keras variables of a model and its optimizer.
        state: JSON-able dict, where the run stands and the recipe that it follows.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {n: keras.ops.convert_to_numpy(v) for n, v in _named(variables).items()}
    handle, aside = tempfile.mkstemp(dir=folder, prefix=".checkpoint-", suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, folder / FILE)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def restore(folder, variables, recipe):
    """Loads `FOLDER/checkpoint.npz` into `variables`, if there is one.

    Args:
        folder: path of the run's folder.
        variables: list of Keras variables, as given to `save`.
        recipe: dict, the recipe of this run; it must be the checkpoint's.

    Returns:
        The state that was saved, or None where there is no checkpoint.

    Raises:
        InputError: for a damaged file, another recipe or another network.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        state = json.loads(str(arrays.pop("state")))
    except Exception as error:
        raise checks.InputError(
            f"Expected a checkpoint in {path}. Found a file that cannot be read ({error}). "
            "Delete it to start over."
        ) from error
    differences = [
        f"{key}: {state['recipe'].get(key)!r} there, {recipe.get(key)!r} here"
        for key in sorted({*state["recipe"], *recipe} - {"text"})
        if state["recipe"].get(key) != recipe.get(key)
    ]
    if differences:
        raise checks.InputError(
            f"Expected to resume {path} with its own recipe. Received another one: "
            f"{'; '.join(differences)}. Use another --workdir, or the same settings."
        )
    named = _named(variables)
    fits = named.keys() == arrays.keys() and all(
        tuple(named[name].shape) == array.shape for name, array in arrays.items()
    )
    if not fits:
        raise checks.InputError(
            f"Expected a checkpoint of {len(named)} variables in {path}. Found "
            f"{len(arrays)}, of another network. Use another --workdir."
        )
    for name, variable in named.items():
        variable.assign(arrays[name])
    return state
