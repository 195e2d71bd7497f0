"""Presets whose weights are those of another checkpoint, in another gating or layout."""

import importlib.metadata
import shutil
from pathlib import Path
from typing import Any

from keras_unrolled import checks, convert, files
from keras_unrolled.presets import hub, registry
from keras_unrolled.presets import record as records
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.saving import check_target, save_preset


def fetch(record, **hub_options):
    """The folder of a regated preset, in the local cache.

    The source is downloaded and compared with the hashes that the Hub states and with those
    of the record, converted, and kept as a preset whose record holds what was seen. The next
    call finds it there.

    Args:
        record: the preset's `Record`, with its source.
        **hub_options: "token" and "local_files_only" of `hub.fetch`.

    Returns:
        The path of the folder.

    Raises:
        InputError: if the source cannot be fetched, or is not what the record says.
    """
    import huggingface_hub

    source = record.source
    known = source.get("files", {})
    place = hub.fetch(
        f"{hub.SCHEME}{source['repository']}",
        revision=source.get("revision"),
        sizes={name: facts["size"] for name, facts in known.items()} or None,
        **hub_options,
    )
    records.verify_files(place, known, source["repository"])
    # The snapshot's folder bears the commit's name.
    version = importlib.metadata.version("keras-unrolled")
    folder = (
        huggingface_hub.cached_assets_path(
            "keras_unrolled", namespace=record.name, subfolder=f"{place.name}-{version}"
        )
        / "preset"
    )
    if folder.exists():
        try:
            records.verify(folder, records.Record.read(folder / records.FILE))
            return folder
        except checks.InputError:  # damaged: it can be made again
            shutil.rmtree(folder)
    model = convert.from_timm(place)
    if record.network["gating"] != "residual":
        model = convert.regate(model, record.network["gating"])
    seen = {name: records.fingerprint(place / name) for name in convert.timm.FILES}
    # Another process may do the same: whoever is second takes the first one's.
    with files.written_aside(folder, keep=True) as aside:
        save_preset(
            model,
            aside,
            name=record.name,
            origin="regated",
            description=record.description,
            source={**source, "revision": place.name, "files": seen},
            licence=record.licence,
            papers=record.papers,
        )
    return folder


def convert_preset(preset, out, *, gating=None, layout="preset", overwrite=False, **hub_options):
    """Writes what `from_preset` loads as a preset of its own, or for timm.

    The record's origin is "regated": it tells from which checkpoint the weights are, at which
    revision and with which hash, and has the source's scores as the source's.

    Args:
        preset: what `from_preset` takes: a name, a folder, a file of keras.applications, a
            folder in timm's layout, or an address.
        out: path of the folder to make.
        gating: optional string, the gating of the new network; None leaves it.
        layout: "preset", or "timm" for `config.json` and `model.safetensors` that timm loads.
        overwrite: bool, whether a preset at `out` may be replaced.
        **hub_options: "revision", "token" and "local_files_only", as in `from_preset`.

    Returns:
        A dict: "source", "gating", "parameters", "layout", "out".

    Raises:
        InputError: as `from_preset`, and where `out` is taken or timm has no such network.
    """
    checks.one_of("layout", layout, ("preset", "timm"))
    if layout == "preset":
        check_target(out, overwrite=overwrite)
    model = from_preset(preset, gating=gating, **hub_options)
    place, record = registry.resolve(preset, **hub_options)
    if layout == "timm":
        convert.to_timm(model, out)
    else:
        source, licence = _describe_source(str(preset), place, record)
        old, new = source["gating"], model.backbone.gating
        what = f"regated from {old} to {new}" if new != old else "converted"
        save_preset(
            model,
            out,
            overwrite=overwrite,
            origin="regated",
            description=f"{source.get('name') or preset}, {what}, its function unchanged",
            source=source,
            licence=licence,
        )
    return {
        "source": str(preset),
        "gating": model.backbone.gating,
        "parameters": model.count_params(),
        "layout": layout,
        "out": str(out),
    }


def _describe_source(text, place, record):
    """What a record tells of the source, and the source's licence."""
    source: dict[str, Any] = {"gating": "residual"}
    if text.startswith(hub.SCHEME):
        source |= {"repository": hub.parse(text)[0], "revision": place.name}
    licence = "unknown"
    if record is not None:
        source |= {
            "name": record.name,
            "gating": record.network.get("gating"),
            "files": {k: v for k, v in record.files.items() if k.endswith(".weights.h5")},
            "metrics": list(record.metrics) or record.source.get("metrics", []),
        }
        licence = record.licence
    elif place.is_file():
        source |= {"name": place.name, "files": {place.name: records.fingerprint(place)}}
    else:
        timm = convert.timm.is_timm(place)
        names = convert.timm.FILES if timm else ("model.weights.h5", "task.weights.h5")
        if timm:
            licence = convert.timm.read_config(place)["licence"]
        source.setdefault("name", Path(text).name)
        source["files"] = {name: records.fingerprint(place / name) for name in names}
        if not timm:
            task = records.read_json(place / "task.json")
            source["gating"] = task["config"]["backbone"]["config"]["gating"]
    return {**source, "licence": licence}, licence
