"""Checkpoints of a run: every variable and where it stood, whole or not at all.

A checkpoint is a folder `WORKDIR/checkpoints/STEP/` with `variables.npz` and `manifest.json`, which
holds the state of the run and the sha256 of the former. It is written aside and renamed, so that
a run may be killed at any moment; the newest one that is whole is where it goes on.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import keras
import numpy as np

from keras_unrolled import checks, files
from keras_unrolled.files import fingerprint, read_json

FOLDER, ARRAYS, MANIFEST = "checkpoints", "variables.npz", "manifest.json"
KEEP = 2  # of the newest checkpoints


def _named(variables):
    # Order makes names unique. Keras numbers its automatic names through a process
    # ("seed_generator_12"); the numbers mean nothing in the next one.
    return {
        f"{i:05d} {re.sub(r'_[0-9]+(?=/|$)', '', variable.path)}": variable
        for i, variable in enumerate(variables)
    }


def steps(workdir):
    """The steps of a run's checkpoints, newest first."""
    names = [path.name for path in (Path(workdir) / FOLDER).glob("*") if path.name.isdigit()]
    return sorted(map(int, names), reverse=True)


def _place(workdir, step):
    return Path(workdir) / FOLDER / f"{step:08d}"


def save(workdir, variables, state, *, keep=KEEP):
    """Writes a checkpoint and takes all but the newest ones away.

    Args:
        workdir: path of the run's folder.
        variables: list of Keras variables of a model and its optimizer.
        state: JSON-able dict with "step", where the run stands, and "recipe".
        keep: int, how many checkpoints stay.

    Raises:
        InputError: if the disk is full or may not be written; the last checkpoint stands.
    """
    arrays = {n: keras.ops.convert_to_numpy(v) for n, v in _named(variables).items()}
    files.check_room(workdir, 2**16 + sum(a.nbytes for a in arrays.values()))
    with files.written_aside(_place(workdir, state["step"])) as aside:
        np.savez(aside / ARRAYS, **arrays)
        seen = {ARRAYS: fingerprint(aside / ARRAYS)}
        text = json.dumps({"state": state, "files": seen}, indent=1)
        (aside / MANIFEST).write_text(text)
        files.to_disk(aside)
    for step in steps(workdir)[keep:]:
        shutil.rmtree(_place(workdir, step), ignore_errors=True)
    # What a killed run left half-written has a name that begins with a dot.
    for path in (Path(workdir) / FOLDER).glob(".*"):
        shutil.rmtree(path, ignore_errors=True)


def read(workdir, step):
    """The state and the arrays of one checkpoint.

    Raises:
        InputError: if it is damaged.
    """
    place = _place(workdir, step)
    manifest = read_json(place / MANIFEST)
    if not {"state", "files"} <= manifest.keys() or ARRAYS not in manifest["files"]:
        raise checks.InputError(
            f"Expected a checkpoint's manifest in {place / MANIFEST}. Found something else. "
            "Delete the folder."
        )
    if not (place / ARRAYS).is_file() or fingerprint(place / ARRAYS) != manifest["files"][ARRAYS]:
        raise checks.InputError(
            f"Expected {place / ARRAYS} with the sha256 of its manifest. Found another file or "
            "none: the disk has damaged it. Delete the folder."
        )
    with np.load(place / ARRAYS, allow_pickle=False) as file:
        return manifest["state"], {name: file[name] for name in file.files}


def restore(workdir, variables, recipe, defaults=None):
    """Loads the newest checkpoint that is whole into `variables`, if there is one.

    Args:
        workdir: path of the run's folder.
        variables: list of Keras variables, as given to `save`.
        recipe: dict, the recipe of this run; it must be the checkpoint's.
        defaults: optional dict, what a recipe has that does not say: an older checkpoint may lack
            a key that did not exist.

    Returns:
        The state that was saved, or None where there is no checkpoint.

    Raises:
        InputError: for another recipe or another network, and where there are checkpoints but
            every one is damaged.
    """
    failed = []
    for step in steps(workdir):
        try:
            state, arrays = read(workdir, step)
            break
        except checks.InputError as error:
            failed.append(str(error))
            print(f"checkpoint {step} is skipped: {error}", file=sys.stderr, flush=True)
    else:
        if failed:
            raise checks.InputError(
                f"Expected one whole checkpoint at least in {Path(workdir) / FOLDER}. Found "
                f"{len(failed)}, all damaged. Delete them to start over. The newest: {failed[0]}"
            )
        return None
    place, there = _place(workdir, step), (defaults or {}) | state["recipe"]
    differences = [
        f"{key}: {there.get(key)!r} there, {recipe.get(key)!r} here"
        for key in sorted({*there, *recipe} - {"text"})
        if there.get(key) != recipe.get(key)
    ]
    if differences:
        raise checks.InputError(
            f"Expected to resume {place} with its own recipe. Received another one: "
            f"{'; '.join(differences)}. Use another --workdir, or the same settings."
        )
    named = _named(variables)
    fits = named.keys() == arrays.keys() and all(
        tuple(named[name].shape) == array.shape for name, array in arrays.items()
    )
    if not fits:
        raise checks.InputError(
            f"Expected a checkpoint of {len(named)} variables in {place}. Found "
            f"{len(arrays)}, of another network. Use another --workdir."
        )
    for name, variable in named.items():
        variable.assign(arrays[name])
    return state
