"""Whose state the folder of an interrupted fine-tuning has."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_unrolled import files
from keras_unrolled.engine import checkpoint

FILE = "identity.json"
KEPT = ("images.npy", "images.npy.sha256", "checked", "best.npz")  # next to the runs' folders


def claim_folder(folder: Path, runs: Iterable[Path], identity: dict[str, Any]) -> None:
    """Makes a folder that of a run, without what another one has left.

    Resized images and the best weights are not in the folders of the phases. Where somebody deletes
    these to start over, or a run is killed before its first checkpoint, the rest must not be taken for
    that of a run on other data.

    Args:
        folder: path of the run's folder.
        runs: paths of the folders in it that can be resumed.
        identity: JSON-able dict of what must be the same on resume.

    Raises:
        InputError: if there is a run to resume with another identity.
    """
    identity, path = json.loads(json.dumps(identity)), folder / FILE
    if any(run.exists() for run in runs):
        if path.is_file():  # earlier versions have none, and the runs compare their own
            checkpoint.check_same(folder, files.read_json(path), identity)
        return
    if not path.is_file() or files.read_json(path) != identity:
        for name in KEPT:
            (folder / name).unlink(missing_ok=True)
        files.write_text(path, json.dumps(identity, indent=1))
