"""Which presets there are, and where a name or a folder leads."""

import dataclasses
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
def known():
    """Every preset that has a name: a dict from name to `Record`.

    Each has its record in `records/NAME.json`, and those with weights in this installation lie in
    `checkpoints/NAME/`; `hub.json` tells which commit of which repository a name stands for.
    """
    paths = sorted((zoo() / "records").glob("*.json"))
    # These win: a record is written from its checkpoint, and may be older.
    paths += sorted((zoo() / "checkpoints").glob("*/" + records.FILE))
    found = {record.name: record for record in map(records.Record.read, paths)}
    pins = zoo() / "hub.json"
    for name, pin in (records.read_json(pins) if pins.exists() else {}).items():
        if name in found:
            found[name] = dataclasses.replace(found[name], **pin)
    return dict(sorted(found.items()))


class PresetList(list):
    """A list of records that prints as a table."""

    def __str__(self):
        rows = [("name", "origin", "parameters", "MACs", "scores")]
        for record in self:
            measured = [("", m) for m in record.metrics]
            measured += [("of its source: ", m) for m in record.source.get("metrics", ())]
            scores = "; ".join(
                f"{whose}{record.show(m)} {m['metric']} on {m['dataset']} {m['split']}"
                for whose, m in measured
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
        dataset: optional string; only presets for this data set, "cifar10", "imagenet" or "ptb".

    Returns:
        A list of `Record`s, by name, that prints as a table.
    """
    return PresetList(
        record
        for name, record in known().items()
        if fnmatch.fnmatchcase(name, pattern) and dataset in (None, name.rsplit("_", 1)[-1])
    )


def resolve(preset, *, weights=True, revision=None, token=None, local_files_only=False):
    """Where a preset's files lie, and its record.

    A preset is looked for as a folder, in the package, in the local cache and on the Hub, in
    this order. What is fetched has been compared with the hashes that the Hub states; the
    record's own are for the caller to compare (`record.verify`).

    Args:
        preset: path of a preset's folder, of a folder in timm's layout or of a `.keras` or
            `.h5` file of keras.applications; the name of a preset; or `hf://org/name`.
        weights: bool; without, a name's record is enough and nothing is fetched.
        revision: optional string, a repository's branch, tag or commit.
        token: optional string, for a private repository.
        local_files_only: bool, whether to look into the cache only.

    Returns:
        A path, or None where only the record is needed; and a `Record`, or None for what
        was not written by `save_preset`.

    Raises:
        InputError: if there is no such preset, if it has no weights, or if it cannot be
            fetched.
    """
    text = str(preset)
    folder = Path(text).expanduser()
    options = {"token": token, "local_files_only": local_files_only}
    if text.startswith(hub.SCHEME):
        folder = hub.fetch(text, revision=revision, **options)
    elif revision:
        raise checks.InputError(
            "Expected a revision for a repository only. Received: revision="
            f"{revision!r} for {text!r}. Leave it out, or load hf://org/name."
        )
    if folder.is_dir():
        path = folder / records.FILE
        return folder, records.Record.read(path) if path.exists() else None
    if folder.is_file():
        return folder, None
    if text not in known():
        raise checks.InputError(
            f"Expected the name of a preset ({', '.join(known()) or 'none in this installation'}), "
            f"a preset's folder or hf://org/name. Received: {text!r}, which is none of them. "
            f"{checks.did_you_mean(text, known()) or 'Check the spelling.'}"
        )
    record = known()[text]
    shipped = zoo() / "checkpoints" / text
    if shipped.is_dir():
        return shipped, record
    if not weights:
        return None, record
    if record.repository:
        folder = hub.fetch(
            f"{hub.SCHEME}{record.repository}",
            revision=record.revision,
            sizes=record.sizes(),
            **options,
        )
        return folder, record if record.files else records.Record.read(folder / records.FILE)
    if record.origin == "regated":
        from keras_unrolled.presets import regated

        folder = regated.fetch(record, **options)
        return folder, records.Record.read(folder / records.FILE)
    if record.origin == "trained":
        size = sum(record.sizes().values()) / 1e6
        raise checks.InputError(
            f"Expected a preset whose weights are in this installation. Those of {text!r} are too "
            f"large for it ({size:.0f} MB), and are not published yet. Give the folder "
            f"zoo/checkpoints/{text} of the source repository in place of the name, or make them "
            f"anew with `{record.training['command']}`."
        )
    raise checks.InputError(
        f"Expected a preset with weights. {text!r} is a recipe that nobody has run yet. Make its "
        f"weights with `{record.training['command']}`, or pass load_weights=False for random ones."
    )


def load_record(preset):
    """The record of a preset, by its name, folder or address.

    Raises:
        InputError: if there is no such preset, or it has no record.
    """
    if str(preset) in known() and not Path(str(preset)).exists():
        return known()[str(preset)]
    folder, record = resolve(preset)
    if record is None:
        raise checks.InputError(
            f"Expected a {records.FILE} in {folder}. Found none: the folder was not written "
            "by `save_preset`. Load it with `from_preset` and save it anew."
        )
    return record
