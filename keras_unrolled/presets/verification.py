"""Verification of a preset: its files and what it computes."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks
from keras_unrolled.presets import golden, layout, regated
from keras_unrolled.presets.catalog import all_presets
from keras_unrolled.presets.describing import find_conflict
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.resolve import resolve

# Backends and processors add in different orders; a wrong weight differs by far more.
RELATIVE, ABSOLUTE = 1e-3, 1e-4


def verify(preset: str | Path, **hub_options: Any) -> dict[str, Any]:
    """Loads a preset and compares it with its record, and what it computes with its golden outputs.

    Args:
        preset: name, folder or address of a preset.
        **hub_options: "revision", "token" and "local_files_only", as in `from_preset`.

    Returns:
        A dict: "preset", "files", how many were compared with their hashes, and
        "differences", the largest absolute difference of each golden output.

    Raises:
        InputError: if a file differs from the record, if there is nothing to compare with, if the
            record describes another network or preprocessing than the files, or if an output
            differs by more than 1e-3 relative and 1e-4 absolute.

    Example:
        >>> from keras_unrolled.presets.verification import verify
        >>> verify("resnet_nobn_cifar10")["files"]
        8
    """
    # Only a name stands for a checkpoint of another library that is to be converted.
    find = regated.find_folder if str(preset) in all_presets() else resolve
    folder, record = find(preset, **hub_options)
    if record is None or layout.GOLDEN not in record.files:
        raise checks.InputError(
            f"Expected a record with {layout.GOLDEN} in {folder}. Found none: the preset was saved by "
            "something else. Load it with `from_preset` and save it again with `save_preset`."
        )
    model = from_preset(folder, dtype="float32")
    _compare(record, model, folder)
    inputs, expected_outputs = golden.read(folder / layout.GOLDEN, model)
    outputs = golden.outputs(model, inputs)
    if {k: v.shape for k, v in outputs.items()} != {
        k: v.shape for k, v in expected_outputs.items()
    }:
        raise checks.InputError(
            f"Expected golden outputs of {record.name} in {folder / layout.GOLDEN}: {', '.join(outputs)}. Found "
            f"{', '.join(expected_outputs)}, or others of these names. The file belongs to another "
            "network: restore it."
        )
    differences = {}
    for name, expected in expected_outputs.items():
        differences[name] = float(np.abs(outputs[name] - expected).max())
        if not np.allclose(outputs[name], expected, rtol=RELATIVE, atol=ABSOLUTE):
            raise checks.InputError(
                f"Expected {record.name} to compute its golden {name}. Found a difference of "
                f"up to {differences[name]:.2g}. The libraries or the processor compute "
                "something else: compare their versions with those in the record."
            )
    return {"preset": record.name, "files": len(record.files), "differences": differences}


def _compare(record, model, folder):
    """Raises `InputError` for a record that describes another model than its files hold."""
    conflict = find_conflict(record, model)
    if conflict:
        name, recorded, found = conflict
        raise checks.InputError(
            f"Expected {checks.first_line(name, 80)} of the record in {folder} to be that of its "
            f"network, {checks.first_line(repr(found), 80)}. The record has "
            f"{checks.first_line(repr(recorded), 80)}. Restore {layout.RECORD}."
        )
