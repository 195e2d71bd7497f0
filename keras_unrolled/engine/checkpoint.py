"""Checkpoints of a run: every variable and the state, complete or not at all.

A checkpoint is a folder `WORKDIR/checkpoints/STEP/` with `variables.npz` and `manifest.json`,
which holds the state of the run, its recipe, and the sha256 of the variables and of itself. It is
written aside and renamed, so that a run may be killed at any moment; a run resumes from the newest
checkpoint that is complete. Both engines write the same files.
"""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import keras
import numpy as np

from keras_unrolled import checks, files
from keras_unrolled.engine.recipe import read_recipe

FOLDER, ARRAYS, MANIFEST = "checkpoints", "variables.npz", "manifest.json"
KEEP = 2  # how many checkpoints stay


def _by_name(variables):
    # Their order makes names unique. Keras numbers its automatic names within a process
    # ("seed_generator_12"); in another process the numbers differ.
    return {
        f"{i:05d} {re.sub(r'_[0-9]+(?=/|$)', '', variable.path)}": variable
        for i, variable in enumerate(variables)
    }


def list_steps(workdir):
    """The steps of a run's checkpoints, newest first."""
    names = [path.name for path in (Path(workdir) / FOLDER).glob("*")]
    return sorted((int(name) for name in names if re.fullmatch("[0-9]{8,18}", name)), reverse=True)


def _folder(workdir, step):
    return Path(workdir) / FOLDER / f"{step:08d}"


def save(workdir, variables, state, recipe, identity=None, *, keep=KEEP):
    """Writes a checkpoint and deletes all but the newest ones.

    Args:
        workdir: path of the run's folder.
        variables: list of Keras variables of a model and its optimizer.
        state: JSON-able dict with "step", the state of the run.
        recipe: the `Recipe` of the run.
        identity: optional JSON-able dict of what else must be the same on resume.
        keep: int, how many checkpoints stay.

    Raises:
        InputError: if the disk is full or cannot be written; the last checkpoint stays intact.
    """
    arrays = {n: keras.ops.convert_to_numpy(v) for n, v in _by_name(variables).items()}
    files.check_room(workdir, 2**16 + sum(a.nbytes for a in arrays.values()))
    with files.written_aside(_folder(workdir, state["step"])) as aside:
        np.savez(aside / ARRAYS, **arrays)
        manifest = {
            "state": state,
            "recipe": recipe.to_dict(),
            "identity": identity or {},
            "files": {ARRAYS: files.fingerprint(aside / ARRAYS)},
        }
        manifest["sha256"] = _hash(manifest)
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        files.sync_folder(aside)
    for step in list_steps(workdir)[keep:]:
        shutil.rmtree(_folder(workdir, step), ignore_errors=True)
    # Half-written folders of a killed run have names that begin with a dot.
    for path in (Path(workdir) / FOLDER).glob(".*"):
        shutil.rmtree(path, ignore_errors=True)


def read(workdir, step):
    """Reads one checkpoint.

    Returns:
        The manifest, a dict with "state", "recipe" and "identity", and the arrays by name.

    Raises:
        InputError: if it is damaged.
    """
    folder = _folder(workdir, step)
    manifest = files.read_json(folder / MANIFEST)
    # Earlier versions kept the recipe in the state, and no hash of the manifest.
    early = manifest.keys().isdisjoint(("recipe", "sha256"))
    if not _is_complete(manifest, step) or not (early or manifest.get("sha256") == _hash(manifest)):
        raise checks.InputError(
            f"Expected the manifest of a checkpoint in {folder / MANIFEST}. Found something else: it "
            "was changed or damaged. Delete the folder."
        )
    path = folder / ARRAYS
    if not path.is_file() or files.fingerprint(path) != manifest["files"][ARRAYS]:
        raise checks.InputError(
            f"Expected {path} with the sha256 of its manifest. Found another file or none: it was "
            "damaged on the disk. Delete the folder."
        )
    manifest.setdefault("recipe", manifest["state"].get("recipe"))
    manifest.setdefault("identity", {})
    try:
        with np.load(path, allow_pickle=False) as file:
            return manifest, {name: file[name] for name in file.files}
    except Exception as error:  # whatever a damaged archive leads to
        raise checks.InputError(
            f"Expected the arrays of a checkpoint in {path}. They cannot be read ({error}). Delete "
            "the folder."
        ) from error


def _hash(manifest):
    """The sha256 of a manifest without its own entry for it."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _is_complete(manifest, step):
    state, listed = manifest.get("state"), manifest.get("files")
    return (
        isinstance(state, dict)
        and isinstance(listed, dict)
        and ARRAYS in listed
        and state.get("step") == step
        and isinstance(manifest.get("recipe", state.get("recipe")), dict)
        and isinstance(manifest.get("identity", {}), dict)
    )


def restore(workdir, variables, recipe, identity=None):
    """Loads the newest complete checkpoint into `variables`, if there is one.

    Args:
        workdir: path of the run's folder.
        variables: list of Keras variables, as given to `save`.
        recipe: the `Recipe` of this run; it must equal the checkpoint's.
        identity: optional dict, as given to `save`; likewise.

    Returns:
        The state that was saved, or None if there is no checkpoint.

    Raises:
        InputError: for another recipe, identity or network, and if every checkpoint is damaged.
    """
    failures = []
    for step in list_steps(workdir):
        try:
            manifest, arrays = read(workdir, step)
            break
        except checks.InputError as error:
            failures.append(str(error))
            print(f"Checkpoint {step} is skipped: {error}", file=sys.stderr, flush=True)
    else:
        if failures:
            raise checks.InputError(
                f"Expected at least one complete checkpoint in {Path(workdir) / FOLDER}. Found "
                f"{len(failures)}, all damaged. Delete them to start over. The newest: "
                f"{failures[0]}"
            )
        return None
    folder = _folder(workdir, step)
    saved = read_recipe(manifest["recipe"]).to_dict() | manifest["identity"]
    check_same(workdir, saved, recipe.to_dict() | (identity or {}))
    by_name = _by_name(variables)
    fits = by_name.keys() == arrays.keys() and all(
        tuple(by_name[name].shape) == array.shape for name, array in arrays.items()
    )
    if not fits:
        raise checks.InputError(
            f"Expected a checkpoint of {len(by_name)} variables in {folder}. Found {len(arrays)}, "
            "of another network. Use another folder for this run."
        )
    for name, variable in by_name.items():
        variable.assign(arrays[name])
    return manifest["state"]


def _describe_change(key, old, new):
    if all(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in (old, new)):
        what = "names or content of their files, classes or parts" if "data" in key else "content"
        return f"{key} is not the same: other {what} (hash {old[:8]}, now {new[:8]})"
    return f"{key} was {old!r} and is now {new!r}"


def check_same(workdir, saved, wanted):
    """Raises `InputError` if a run's settings are not those of the one that was interrupted.

    Args:
        workdir: path of the run's folder.
        saved: dict of the settings that were saved.
        wanted: dict of those of this run.
    """
    differences = [
        _describe_change(key, saved.get(key), wanted.get(key))
        for key in sorted({*saved, *wanted})
        if saved.get(key) != wanted.get(key)
    ]
    if differences:
        raise checks.InputError(
            f"Expected the settings of the run that was interrupted, in {workdir}. Received other "
            f"ones: {'; '.join(differences)}. Use the same settings to resume. To start over, use "
            f"another folder or delete {workdir}."
        )
