"""Ways to damage a preset's folder, drawn at random: for test_fuzz.py."""

import json
import os

from tests.presets.hostile import agree

ODD_VALUES = [
    None, True, -1, 0, 1, 3, 2**31, 10**30, 10**400, 1e308, 0.5, float("nan"), "", "x", "../../etc", "coupled",
    "float64", "\ud800", [], [1], [10**7] * 3, {}, {"class_name": "Lambda"}, [[[]]], "é" * 1000, "0" * 64,
]  # fmt: skip
WAYS = ["json"] * 4 + [
    "flip",
    "cut",
    "insert",
    "zero",
    "swap",
    "foreign",
    "delete",
    "folder",
    "link",
]


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield from places(value[key], (*path, key))


def edit_json(rng, path):
    """Changes, removes or adds an entry of a JSON file."""
    try:
        data = json.loads(path.read_text())
        *way, last = rng.choice([place for place in places(data) if place])
    except (OSError, ValueError, IndexError):  # an earlier mutation was here
        return
    inner = data
    for key in way:
        inner = inner[key]
    kind = rng.random()
    if kind < 0.6:
        inner[last] = rng.choice(ODD_VALUES)
    elif kind < 0.75:
        del inner[last]
    elif kind < 0.85:  # what belongs to another place
        inner[last] = json.loads(path.read_text())
    elif isinstance(inner, dict):
        inner[rng.choice(["color", "gating", "name", "dtype", "activation"])] = rng.choice(
            ODD_VALUES
        )
    path.write_text(json.dumps(data))


def mutate(rng, folder, other):
    """Damages a folder; returns how.

    Args:
        rng: a `random.Random`.
        folder: path of a copy of a preset.
        other: path of a preset of the same shapes with other weights.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    way = rng.choice(WAYS)
    path = rng.choice([p for p in files if p.suffix == ".json"] if way == "json" else files)
    name = path.relative_to(folder)
    if way == "json":
        edit_json(rng, path)
    elif way == "swap":
        second = rng.choice(files)
        path_data, second_data = path.read_bytes(), second.read_bytes()
        path.write_bytes(second_data)
        second.write_bytes(path_data)
    elif way == "foreign":
        path.write_bytes((other / name).read_bytes() if (other / name).is_file() else b"")
    elif way in ("delete", "folder", "link"):
        if name.name == "record.json" and way == "delete":  # then nothing tells what was
            return "nothing"
        path.unlink()
        if way == "folder":
            path.mkdir()
        elif way == "link":
            path.symlink_to(rng.choice(["nowhere", "/dev/zero", "/dev/null", path.name, "/"]))
    else:
        path.write_bytes(_damage(rng, way, path.read_bytes()))
    return f"{way} {name}"


def _damage(rng, way, data):
    data, at = bytearray(data), rng.randrange(len(data) + 1)
    if way == "flip" and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del data[at:]
    elif way == "insert":
        data[at:at] = rng.randbytes(rng.choice([1, 8, 1_000]))
    elif way == "zero":
        data[at : at + rng.choice([1, 100, 10**6])] = b"\0"
    return bytes(data)


def make_consistent(folder):
    """Puts the hashes of the files as they are into the record, as who damages on purpose would."""
    if not (folder / "record.json").is_file():  # a device would never end
        return
    try:
        names = list(json.loads((folder / "record.json").read_text())["files"])
        for name in names:
            if os.path.isfile(folder / name):
                agree(folder, name)
    except (OSError, ValueError, KeyError, TypeError):  # the record itself is damaged
        pass
