"""Damaged presets: refused in good time, or of the same outputs. Thousands of them."""

import contextlib
import json
import random
import resource
import shutil
import time

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from tests.nets import randomize

pytestmark = pytest.mark.slow

FOLDERS = 2_000
WITHOUT_RECORD = 150
ODD_VALUES = [
    None, True, -1, 0, 1, 3, 2**31, 10**30, 1e308, 0.5, float("nan"), "", "x", "../../etc", "coupled",
    "float64", [], [1], [10**7] * 3, {}, {"class_name": "Lambda"}, [[[]]], "é" * 1000,
]  # fmt: skip


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Two presets of one shape, images, and what the first says of them."""
    root = tmp_path_factory.mktemp("fuzz")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    for seed in (2, 1):
        model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
        randomize(model, seed)
        ku.save_preset(model, root / f"p{seed}", name="small")
    return root, images, outputs(model, images)


def outputs(model, images):
    return np.asarray(model(model.preprocessor(images), training=False)), model.labels


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield from places(value[key], (*path, key))


def edit_json(rng, path):
    try:
        data = json.loads(path.read_text())
    except ValueError:  # an earlier mutation was here
        return
    *way, last = rng.choice([place for place in places(data) if place])
    inner = data
    for key in way:
        inner = inner[key]
    kind = rng.random()
    if kind < 0.6:
        inner[last] = rng.choice(ODD_VALUES)
    elif kind < 0.8:
        del inner[last]
    elif isinstance(inner, dict):
        inner[rng.choice(["color", "gating", "name", "dtype"])] = rng.choice(ODD_VALUES)
    path.write_text(json.dumps(data))


def mutate(rng, folder, other, *, json_only=False):
    """Damages a folder; returns how."""
    files = sorted(path for path in folder.iterdir())
    texts = [path for path in files if path.suffix == ".json"]
    how = rng.choice(["json"] * 3 + ["flip", "truncate", "swap", "foreign", "delete", "empty"])
    if json_only or how == "json":
        path = rng.choice(texts)
        edit_json(rng, path)
        return f"json {path.name}"
    path = rng.choice(files)
    data = bytearray(path.read_bytes())
    if how == "flip" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "truncate":
        del data[rng.randrange(len(data) + 1) :]
    elif how == "foreign":
        data = (other / path.name).read_bytes()
    elif how == "empty":
        data = b"\0" * len(data)
    elif how == "swap":
        second = rng.choice(files)
        path.write_bytes(second.read_bytes())
        path, data = second, data
    if how == "delete":
        if path.name == "record.json":  # then nothing tells what was: see below
            return "nothing"
        path.unlink()
    else:
        path.write_bytes(data)
    return f"{how} {path.name}"


def attempt(folder, images):
    """What comes of loading, and the seconds that it took."""
    began = time.perf_counter()
    try:
        found = outputs(ku.from_preset(folder), images)
    except InputError:
        found = None
    return found, time.perf_counter() - began


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_no_damaged_preset_loads_with_other_outputs(presets, tmp_path):
    root, images, (scores, labels) = presets
    rng = random.Random(11)
    refused = loaded = 0
    slowest, before = 0.0, peak()
    for _ in range(FOLDERS):
        folder = tmp_path / "damaged"
        shutil.copytree(root / "p1", folder)
        how = [mutate(rng, folder, root / "p2") for _ in range(rng.choice([1, 1, 2]))]
        found, seconds = attempt(folder, images)
        slowest = max(slowest, seconds)
        if found is None:
            refused += 1
        else:
            loaded += 1
            assert np.array_equal(found[0], scores), how
            assert found[1] == labels, how
        shutil.rmtree(folder)
    print(f"{refused} refused, {loaded} loaded, slowest {slowest:.1f} s, {peak() - before:,} bytes")
    assert slowest < 10
    assert peak() - before < 2**31
    assert refused > FOLDERS / 2


def test_no_configuration_without_a_record_costs_much(presets, tmp_path):
    """Nobody can tell such a folder's outputs; but it is refused or loads, in good time."""
    root, _, _ = presets
    rng = random.Random(12)
    slowest, before = 0.0, peak()
    for _ in range(WITHOUT_RECORD):
        folder = tmp_path / "damaged"
        shutil.copytree(root / "p1", folder)
        for name in ("record.json", "golden.npz"):
            (folder / name).unlink()
        path = rng.choice([folder / "task.json"] * 4 + [folder / "config.json"])
        edit_json(rng, path)
        began = time.perf_counter()
        with contextlib.suppress(InputError):
            ku.from_preset(folder)
        slowest = max(slowest, time.perf_counter() - began)
        shutil.rmtree(folder)
    print(f"slowest {slowest:.1f} s, {peak() - before:,} bytes")
    assert slowest < 10
    assert peak() - before < 2**31
