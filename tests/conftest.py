"""What the tests share: the option --slow, and fixtures for real data and random numbers."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in commands
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Processes on JAX share what they compile, in a folder of this run.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.TemporaryDirectory(prefix="keras_unrolled_jax_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

import keras
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SLOW = "slow; pass --slow to run it"


def first_fast(*values):
    """Parameters of a test of which all but the first are slow."""
    first, *rest = values
    return [first, *(pytest.param(value, marks=pytest.mark.slow) for value in rest)]


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="Also run the tests marked as slow.")


def pytest_collection_modifyitems(config, items):
    """Skips tests marked as slow, unless `--slow` is passed."""
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow") is not None:
                item.add_marker(pytest.mark.skip(reason=SLOW))


def pytest_report_teststatus(report):
    """Counts slow tests separately, so that the summary lists other skips only."""
    if report.skipped and isinstance(report.longrepr, tuple) and report.longrepr[2].endswith(SLOW):
        return "slow", "s", "SLOW"
    return None


def pytest_terminal_summary(terminalreporter):
    """Reports how many slow tests were skipped and how to run them."""
    count = len(terminalreporter.stats.get("slow", ()))
    if count:
        tests = "1 slow test was" if count == 1 else f"{count} slow tests were"
        terminalreporter.write_line(f"{tests} skipped. Pass --slow to run all tests.")


@pytest.fixture(scope="session")
def tfds_dir():
    """TFDS's data directory with CIFAR-10."""
    folder = Path(os.environ.get("KERAS_UNROLLED_TFDS", DATA / "tfds"))
    if not (folder / "cifar10").is_dir():
        pytest.skip(f"needs CIFAR-10 as TFDS prepares it, in {folder} (KERAS_UNROLLED_TFDS)")
    return folder


@pytest.fixture(scope="session")
def photographs():
    """Paths of original ImageNet photographs, one of each of many classes."""
    folder = Path(os.environ.get("KERAS_UNROLLED_PHOTOGRAPHS", DATA / "imagenet_sample"))
    paths = sorted(folder.glob("*/*.JPEG"))
    if len(paths) < 200:
        pytest.skip(f"needs ImageNet photographs in {folder} (KERAS_UNROLLED_PHOTOGRAPHS)")
    return paths


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from one seed and from float32."""
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def ptb_dir():
    """The Penn Treebank's train.txt, valid.txt and test.txt."""
    folder = Path(os.environ.get("KERAS_UNROLLED_PTB", DATA / "ptb"))
    if not (folder / "train.txt").is_file():
        pytest.skip(f"needs Penn Treebank in {folder} (KERAS_UNROLLED_PTB)")
    return folder
