"""Presets whose weights are those of another checkpoint, with another gating or layout."""

from pathlib import Path
from typing import Any

from keras_unrolled import assets, checks, convert, environment, files
from keras_unrolled.presets import integrity, layout
from keras_unrolled.presets import record as records
from keras_unrolled.presets.describing import count_parameters
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.resolve import resolve
from keras_unrolled.presets.saving import check_target, save_preset


def find_folder(preset, **hub_options):
    """A preset's folder and record, as `resolve` gives them, with regated names converted.

    The preset that a regated name stands for is kept in the local cache, with what was seen of
    its source in the record; the next call finds it there.

    Args:
        preset: what `resolve` takes.
        **hub_options: "revision", "token" and "local_files_only", as in `from_preset`.

    Returns:
        The path of the folder and its `Record`, or None for a folder without one.

    Raises:
        InputError: as `resolve`.
    """
    source, record = resolve(preset, **hub_options)
    if record is None or record.origin != "regated" or record.files:
        return source, record
    folder, is_damaged = _kept_folder(record.name, source.name), False
    if folder.exists():
        try:
            kept = records.Record.read(folder / layout.RECORD)
            integrity.verify(folder, kept)
            return folder, kept
        except checks.InputError:
            is_damaged = True  # and is made again
    seen = {name: files.fingerprint(source / name) for name in convert.timm.FILES}
    # Another process may do the same: whoever is second takes the first one's.
    with files.written_aside(folder, keep=not is_damaged) as aside:
        save_preset(
            from_preset(preset, dtype="float32", **hub_options),
            aside,
            name=record.name,
            origin="regated",
            description=record.description,
            source={**record.source, "revision": source.name, "files": seen},
            license=record.license,
            papers=record.papers,
        )
    return folder, records.Record.read(folder / layout.RECORD)


def _kept_folder(name, commit):
    """Where the cache keeps a named preset that is made from a commit of its source."""
    version = environment.package_version()
    return assets.kept_folder(name, f"{commit}-{version}", name) / "preset"


def convert_preset(
    preset: str | Path,
    out: str | Path,
    *,
    gating: str | None = None,
    layout: str = "preset",
    fold: bool = False,
    overwrite: bool = False,
    **hub_options: Any,
) -> dict[str, Any]:
    """Writes what `from_preset` loads as a preset of its own, or for timm.

    The record's origin is "regated": it states the checkpoint of the weights with its revision and
    hashes, and reports the source's scores as those of the source.

    Args:
        preset: what `from_preset` takes: a name, a folder, also one of timm or KerasHub, a file of
            weights of PyTorch or keras.applications, or an address.
        out: path of the folder to make.
        gating: optional string, the gating of the new network; None keeps it.
        layout: "preset", or "timm" for `config.json` and `model.safetensors` that timm loads.
        fold: bool, whether to fold the network for prediction, see `convert.fold`.
        overwrite: bool, whether a preset at `out` may be replaced.
        **hub_options: "revision", "token" and "local_files_only", as in `from_preset`.

    Returns:
        A dict: "source", "gating", "parameters", "layout", "out".

    Raises:
        InputError: as `from_preset`, and if `out` exists or timm has no such network.
    """
    checks.one_of("layout", layout, ("preset", "timm"))
    if checks.flag("fold", fold) and layout == "timm":
        raise checks.InputError(
            "Expected a network with its normalization for timm, which adds none. Received: --fold "
            "(in Python: fold=True). Leave it out."
        )
    if layout == "preset":
        check_target(out, overwrite=overwrite)
    else:
        files.check_writable(out)
    model = from_preset(preset, gating=gating, **hub_options)
    if layout == "timm":
        convert.to_timm(model, out)
    else:
        source = model.provenance.source
        model = convert.fold(model) if fold else model
        old, new = source["gating"], model.backbone.gating
        what = f"regated from {old} to {new}" if new != old else "converted"
        what = f"{what} and folded for prediction" if fold else what
        save_preset(
            model,
            out,
            overwrite=overwrite,
            origin="regated",
            description=f"{source.get('name') or preset}, {what} without changing the function",
            source=source,
            license=model.provenance.license,
        )
    return {
        "source": str(preset),
        "gating": model.backbone.gating,
        "parameters": count_parameters(model),
        "layout": layout,
        "out": str(out),
    }
