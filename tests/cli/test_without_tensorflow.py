"""Commands on JAX where TensorFlow is not installed."""

import json
import os
import subprocess
import sys

import pytest

import keras_unrolled as ku

# A program that does not find TensorFlow, as if it were not installed.
PROGRAM = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] not in ("tensorflow", "tensorflow_text", "tensorflow_datasets"):
            return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from keras_unrolled import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def call(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_presets_are_scored_analyzed_and_reported_on(tmp_path):
    expected = ku.evaluate("resnet_nobn_cifar10", limit=100)
    preset = ["resnet_nobn_cifar10", "--limit", 100]
    found = call("evaluate", *preset, "--report", tmp_path / "report", "--json")
    assert (found["accuracy"], found["n"]) == (expected["accuracy"], 100)
    assert (tmp_path / "report" / "report.html").is_file()
    found = call("analyze", *preset, "--only", "lesion", "--out", tmp_path / "analysis", "--json")
    assert (tmp_path / "analysis" / "report.html").is_file()


@pytest.mark.slow
def test_pictures_are_classified_and_texts_scored(tmp_path):
    from PIL import Image

    Image.fromarray(ku.data.load_sample().images[0]).save(tmp_path / "picture.png")
    (rows,) = call("predict", "resnet_nobn_cifar10", tmp_path / "picture.png", "--json")
    assert len(rows["predictions"]) == 5
    (tmp_path / "test.txt").write_text(" the company said it will buy the shares \n" * 5)
    found = call("evaluate", "highway_small_ptb", "--data-dir", tmp_path, "--json")
    assert found["tokens"] == 45
