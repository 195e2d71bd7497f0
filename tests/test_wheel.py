"""What an installation holds, as against a checkout."""

import os
import subprocess
import sys
import zipfile

import pytest

from keras_unrolled import paths
from keras_unrolled.presets import catalog
from tests.conftest import ROOT

MOST = 40e6  # bytes

PROGRAM = """
import sys
from pathlib import Path

import keras_unrolled as ku
from keras_unrolled.presets import catalog

assert Path(ku.__file__).is_relative_to(sys.argv[1]), ku.__file__
for name in sys.argv[2:]:
    try:
        ku.from_preset(name)
        print(name, "loaded")
    except ku.InputError as error:
        print(name, error)
print(len(catalog.all_presets()), "known")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The path of the wheel of this checkout."""
    builders = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = builders.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return path


@pytest.fixture(scope="module")
def names(wheel):
    """The files in it."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_stays_below_forty_megabytes(wheel):
    assert os.path.getsize(wheel) < MOST


def test_wheel_has_every_module_of_the_package(names):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "keras_unrolled").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_wheel_has_every_record_all_images_presets_and_one_of_language(names):
    weights = {n.split("/")[3] for n in names if n.endswith("model.weights.h5")}
    trained = {path.name for path in (paths.zoo() / "checkpoints").iterdir()}
    assert weights == {n for n in trained if not n.endswith("_ptb")} | {"highway_small_ptb"}
    records = {n.rsplit("/", 1)[1][:-5] for n in names if "/zoo/records/" in n}
    assert records == set(catalog.all_presets())


@pytest.mark.slow
def test_installation_loads_bundled_presets_and_names_the_place_of_others(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    command += ["resnet_bn_cifar10", "highway_small_ptb", "resnet_small_ptb"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second, third, known = done.stdout.splitlines()
    assert (first, second) == ("resnet_bn_cifar10 loaded", "highway_small_ptb loaded")
    assert "zoo/checkpoints/resnet_small_ptb of the source repository" in third
    assert "python training/ptb.py --preset resnet_small_ptb" in third
    assert known == f"{len(catalog.all_presets())} known"
