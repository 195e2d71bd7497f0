"""Records as text for people: one by one, and as a table."""

import shutil

from keras_unrolled import paths
from keras_unrolled.presets.record import Record


def find_weights(record: Record) -> str:
    """Where the weights of a named preset are: installed, hub, source, checkout or none."""
    if (paths.zoo() / "checkpoints" / record.name).is_dir():
        return "installed"
    if record.repository:
        return "hub"
    return {"regated": "source", "trained": "checkout"}.get(record.origin, "none")


def make_table(records: list[Record]) -> str:
    """A table of presets that fits 80 columns."""
    rows = [("name", "gating", "parameters", "score", "weights")]
    for record in records:
        found = record.find_main_score()
        score = record.show(found) if found else ""
        if score and not record.metrics:
            score += "*"
        gating = record.network.get("gating", "")
        row = (record.name, gating, f"{record.parameters:,}", score, find_weights(record))
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]
    if any(row[3].endswith("*") for row in rows):
        lines.append("* of the public network that the weights are converted from")
    if any(row[4] == "none" for row in rows):
        lines.append("none: not trained yet; keras-unrolled show NAME gives the command")
    return "\n".join(lines)


def summarize(record: Record) -> str:
    """What a record says, as a person reads it."""
    network = record.network
    lines = [
        f"{record.name}: {record.description or record.task}",
        "",
        _line("task", record.task),
        _line("origin", record.origin),
        _line("gating", network.get("gating")),
        _line("parameters", f"{record.parameters:,}"),
        _line("MACs", record.macs and f"{record.macs:,} per image"),
        _line("input", _describe_input(record)),
        _line("classes", _describe_classes(record)),
        _line("license", record.license),
        _line("weights", find_weights(record) if not record.files else None),
        *_describe_scores(record),
        _line("temperature", _describe_calibration(record.calibration)),
        *_describe_training(record),
        *_describe_source(record),
    ]
    return "\n".join(line for line in lines if line is not None)


def _line(name, value):
    return None if value in (None, "") else f"  {name:12}{value}"


def _describe_input(record):
    size = record.preprocessing.get("image_size")
    return f"images, resized to {' x '.join(map(str, size))} pixels" if size else None


def _describe_classes(record):
    if record.label_set:
        return "the 1,000 of ImageNet-1k"
    names = ", ".join(record.labels)
    width = max(40, shutil.get_terminal_size().columns - 20)
    return names if len(names) <= width else f"{len(record.labels)}: {names[: width - 8]} ..."


def _describe_scores(record):
    for whose, rows in (("", record.metrics), (" (source)", record.source.get("metrics", ()))):
        for row in rows:
            yield _line(
                f"{row['metric']}"[:11],
                f"{record.show(row)} on {row['dataset']} {row['split']}, n = {row['n']:,}{whose}",
            )


def _describe_calibration(found):
    if not found:
        return None
    place = f"{found['dataset']} {found['split']}"
    return (
        f"{found['temperature']:.3f}, chosen on {place}, n = {found['n']:,} (predict --calibrated)"
    )


def _describe_training(record):
    training = dict(record.training)
    recipe = training.pop("recipe", None)
    if not training:
        return
    yield "training"
    for key, value in training.items():
        if value not in (None, False, {}, []):
            yield _line(key.replace("_", " "), value)
    if recipe:
        fields = [f"{k} {v}" for k, v in recipe.items() if k != "network"]
        yield "recipe"
        for start in range(0, len(fields), 3):
            yield "  " + ", ".join(fields[start : start + 3])


def _describe_source(record):
    source = record.source
    if not source:
        return
    yield "source"
    for key in ("name", "repository", "revision", "gating", "license"):
        yield _line(key, source.get(key))


def list_fields(record: Record) -> str:
    """Every field of a record, a line each."""
    lines = []
    for key, value in record.to_dict().items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {k}: {v}" for k, v in value.items()]
        elif key in ("metrics", "papers", "labels"):
            lines.append(f"{key}:")
            lines += [f"  {item}" for item in value]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines)
