"""Which presets there are, and where a name or a folder leads."""

import fnmatch
from functools import cache
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.presets import hub
from keras_unrolled.presets import record as records


def zoo():
    """The folder of the shipped presets: inside the installed package, or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "zoo"
    return installed if installed.is_dir() else package.parent / "zoo"


@cache
def _shipped():
    paths = sorted((zoo() / "checkpoints").glob("*/" + records.FILE))
    found = (records.Record.read(path) for path in paths)
    return {record.name: record for record in found}


class PresetList(list):
    """A list of records that prints as a table."""

    def __str__(self):
        rows = [("name", "origin", "parameters", "MACs", "scores")]
        for record in self:
            scores = "; ".join(
                f"{m['value']:.2%} {m['metric']} on {m['dataset']} {m['split']}"
                for m in record.metrics
            )
            macs = f"{record.macs:,}" if record.macs else ""
            rows.append((record.name, record.origin, f"{record.parameters:,}", macs, scores))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        )

    __repr__ = __str__


def list_presets(pattern="*", *, dataset=None):
    """The presets whose names match a pattern.

    Args:
        pattern: shell-style pattern of a name, such as "highway*".
        dataset: optional string; only presets scored on this data set.

    Returns:
        A list of `Record`s, by name, that prints as a table.
    """
    return PresetList(
        record
        for name, record in _shipped().items()
        if fnmatch.fnmatchcase(name, pattern)
        and (dataset is None or any(m["dataset"] == dataset for m in record.metrics))
    )


def resolve(preset, **hub_options):
    """The folder and the record of a preset.

    Args:
        preset: path of a preset's folder, the name of a preset, or `hf://org/name`.
        **hub_options: "revision", "token" and "local_files_only" of `hub.fetch`.

    Returns:
        A path, and a `Record` or None for a folder without one.

    Raises:
        InputError: if it is neither.
    """
    text = str(preset)
    folder = Path(text).expanduser()
    if text.startswith(hub.SCHEME):
        folder = hub.fetch(text, **hub_options)
    elif hub_options.get("revision"):
        raise checks.InputError(
            "Expected a revision for a repository only. Received: revision="
            f"{hub_options['revision']!r} for {text!r}. Leave it out, or load hf://org/name."
        )
    if folder.is_dir():
        path = folder / records.FILE
        return folder, records.Record.read(path) if path.exists() else None
    if text in _shipped():
        return zoo() / "checkpoints" / text, _shipped()[text]
    names = ", ".join(_shipped()) or "none in this installation"
    raise checks.InputError(
        f"Expected the name of a preset ({names}), a preset's folder or hf://org/name. "
        f"Received: {text!r}, which is none of them. {checks.did_you_mean(text, _shipped()) or 'Check the spelling.'}"
    )


def load_record(preset):
    """The record of a preset, by its name or folder.

    Raises:
        InputError: if there is no such preset, or it has no record.
    """
    folder, record = resolve(preset)
    if record is None:
        raise checks.InputError(
            f"Expected a {records.FILE} in {folder}. Found none: the folder was not written "
            "by `save_preset`. Load it with `from_preset` and save it anew."
        )
    return record
