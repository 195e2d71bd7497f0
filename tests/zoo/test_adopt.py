"""A finished run becomes a preset; anything else is rejected."""

import json
import shutil

import pytest

from keras_unrolled import InputError, paths
from keras_unrolled.engine import read_recipe
from keras_unrolled.presets import catalog
from zoo import adopt, build

NAME = "resnet_bn_cifar10"
OLD = {"augment": True, "text": "a command and an expected score", "sampled": 0, "length": 35}


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """An empty zoo."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    monkeypatch.setattr(paths, "zoo", lambda: folder)
    monkeypatch.setattr(build, "RESULTS", folder / "results")
    catalog.all_presets.cache_clear()
    yield folder
    catalog.all_presets.cache_clear()  # other tests read the real one


@pytest.fixture
def workdir(tmp_path):
    """A finished run as the version before this one wrote it."""
    folder = tmp_path / "run"
    shutil.copytree(paths.zoo() / "checkpoints" / NAME, folder / "preset")
    shutil.copy(build.ROOT / "zoo/results/logs" / f"{NAME}.csv", folder / "log.csv")

    def make_old(record):
        recipe = read_recipe(record["training"]["recipe"]).to_dict()
        recipe.pop("augmentation")
        record["training"]["recipe"] = {**recipe, **OLD}
        record.pop("dataset")

    edit(folder, make_old)
    return folder


def edit(workdir, change):
    path = workdir / "preset" / "record.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.slow
def test_finished_run_is_copied_with_a_normalized_record(workdir, zoo):
    (workdir / "preset" / "notes.txt").write_text("not part of the preset")
    record = adopt.adopt(workdir)
    folder = zoo / "checkpoints" / NAME
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == {
        *record.files,
        "record.json",
    }
    assert record.dataset == "cifar10"
    assert not OLD.keys() & record.training["recipe"].keys()
    assert record.training["recipe"]["augmentation"] == "shift_flip"
    log = (zoo / "results" / "logs" / f"{NAME}.csv").read_text()
    assert log == (workdir / "log.csv").read_text()
    with pytest.raises(InputError, match="Pass --overwrite"):
        adopt.adopt(workdir)
    assert adopt.adopt(workdir, overwrite=True) == record


def set_seed(record):
    record["training"]["recipe"]["seed"] = 3


def set_smoke(record):
    record["name"] += "_smoke"


def set_data(record):
    record["training"]["dataset"] = "pictures"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_seed, "seed=3.*zoo.compare --runs"),
        (set_smoke, "without --smoke"),
        (set_data, "on its own data"),
    ],
)
def test_other_runs_are_rejected(workdir, zoo, change, message):
    edit(workdir, change)
    with pytest.raises(InputError, match=message):
        adopt.adopt(workdir)
    assert not (zoo / "checkpoints").exists()


def test_unfinished_or_damaged_run_is_rejected(workdir, zoo, tmp_path):
    with pytest.raises(InputError, match="has finished"):
        adopt.adopt(tmp_path)
    weights = workdir / "preset" / "model.weights.h5"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="sha256"):
        adopt.adopt(workdir)
    assert not (zoo / "checkpoints").exists()
    assert adopt.main([str(tmp_path)]) == 2
