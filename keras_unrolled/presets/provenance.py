"""Where the weights of a loaded model come from, so that a saved preset can state it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unrolled import convert, files
from keras_unrolled.models.weight_hash import hash_weights
from keras_unrolled.presets import hub, layout
from keras_unrolled.presets.record import Record


@dataclass(frozen=True)
class Provenance:
    """The preset that a model was loaded from.

    Args:
        source: dict of a record's `source`: "name", "gating", "files", "license", "metrics" and,
            from the Hub, "repository" and "revision".
        record: the preset's `Record`, or None for one of another library.
        is_copy: bool, whether network and head are those of the preset.
        digest: hash of the weights that were loaded.
    """

    source: dict[str, Any]
    record: Record | None
    is_copy: bool
    digest: str

    @property
    def license(self) -> str:
        """The license of the source's weights, which holds for what is made of them."""
        return self.source.get("license", "unknown")


def note(
    model: Any, address: str, place: Path | None, record: Record | None, is_copy: bool
) -> None:
    """Attaches a `Provenance` to a model that was loaded from `place`."""
    if place is not None:
        source = describe_source(address, place, record)
        model.provenance = Provenance(source, record, is_copy, hash_weights(model))


def inherit(model: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """The entries of a record that a model's provenance decides.

    Weights that were not trained after loading are those of their source: such a preset is never
    recorded as trained. A preset that was trained keeps the license and the source of its base.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        facts: dict of what the caller states; it wins.

    Returns:
        `facts` with what is inherited.
    """
    provenance = getattr(model, "provenance", None)
    if provenance is None:
        return {"origin": "trained", **facts}
    source, base = dict(provenance.source), provenance.record
    inherited: dict[str, Any] = {"license": provenance.license, "source": source}
    if "training" in facts or hash_weights(model) != provenance.digest:
        source.pop("metrics", None)  # of other weights
        inherited["origin"] = "trained"
    elif provenance.is_copy and base is not None:
        same = (
            "origin",
            "metrics",
            "calibration",
            "training",
            "source",
            "license",
            "papers",
            "dataset",
        )
        inherited = {name: getattr(base, name) for name in (*same, "description")}
    else:
        inherited["origin"] = "regated"
    if base is not None:
        inherited.setdefault("papers", base.papers)
    return {**inherited, **facts}


def describe_source(address: str, place: Path, record: Record | None) -> dict[str, Any]:
    """What a record states about the checkpoint that its weights come from.

    Args:
        address: what was asked for: a name, a path or an address on the Hub.
        place: path of its folder or file.
        record: its `Record`, or None.

    Returns:
        A dict: "name", "gating", "files", "license", "metrics" if it has any, and, from the Hub,
        "repository" and "revision".
    """
    source: dict[str, Any] = {"gating": "residual", "license": "unknown"}
    if hub.is_address(address):
        repository, _ = hub.parse(address)
        name = repository.rpartition("/")[2]
        source |= {"repository": repository, "revision": place.name, "name": name}
    if record is not None:
        return source | _describe_record(record)
    if place.is_file():
        return source | {"name": place.name, "files": {place.name: files.fingerprint(place)}}
    source.setdefault("name", Path(address).name)
    if convert.timm.is_timm(place):
        source["license"] = convert.timm.read_config(place)["license"]
        names = convert.timm.FILES
    else:
        names = (layout.BACKBONE_WEIGHTS, layout.HEAD_WEIGHTS)
        config = files.read_json(place / layout.TASK)["config"]
        source["gating"] = config["backbone"]["config"].get("gating", "residual")
    present = [name for name in names if (place / name).is_file()]
    return source | {"files": {name: files.fingerprint(place / name) for name in present}}


def _describe_record(record):
    if not record.files:  # a regated name: its record has the source itself
        return dict(record.source)
    metrics = list(record.metrics) or record.source.get("metrics", [])
    return {
        "name": record.name,
        "gating": record.network.get("gating"),
        "files": {k: v for k, v in record.files.items() if k.endswith(".weights.h5")},
        "license": record.license,
        **({"metrics": metrics} if metrics else {}),
        **({"repository": record.repository} if record.repository else {}),
        **({"revision": record.revision} if record.revision else {}),
    }
