"""A fine-tuning that is killed many times ends with the weights of an unbroken one, to the bit."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import data, models
from tests.engine.processes import HANG, KILLS, wait_for
from tests.nets import randomize

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("finetune_worker.py")
OPTIONS = ["epochs=12", "batch_size=16", "learning_rate=0.001", "patience=10", "balance=true"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A preset, and a folder of sixty pictures in two classes."""
    root = tmp_path_factory.mktemp("kill")
    model = models.highway(8, dataset="cifar", layer_dropout=0.1)
    randomize(model)
    ku.save_preset(model, root / "base")
    sample = data.load_sample()
    for label, name in enumerate(("plane", "car")):
        (root / "pictures" / name).mkdir(parents=True)
        for i, image in enumerate(sample.images[sample.labels == label][:30]):
            Image.fromarray(image).save(root / "pictures" / name / f"{i:02d}.png")
    return root


def start(files, out, replicas=1, *options):
    command = [sys.executable, str(WORKER), str(files / "base"), str(files / "pictures"), str(out)]
    command += [str(replicas), *OPTIONS, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors[-3000:]


def weights(folder):
    return [keras.ops.convert_to_numpy(w) for w in ku.from_preset(folder).weights]


def list_epochs(partial):
    """How many checkpoints the phases have written, by the steps in their names."""
    steps = [int(path.name) for path in partial.glob("*/checkpoints/*") if path.name.isdigit()]
    return sum(steps)


def test_kills_at_random_moments_change_nothing(files, tmp_path):
    finish(start(files, tmp_path / "whole"))
    rng, out = random.Random(5), tmp_path / "broken"
    partial = tmp_path / "broken.partial"
    killed = 0
    for _ in range(KILLS):
        process = start(files, out)
        before = list_epochs(partial)
        if not wait_for(lambda before=before: list_epochs(partial) > before, process):
            break
        time.sleep(rng.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert not out.exists() or process.returncode == 0
    finish(start(files, out)) if not out.exists() else None
    assert killed >= KILLS - 1
    for a, b in zip(weights(tmp_path / "whole"), weights(out), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("history.csv", "held_out.csv"):
        assert (out / name).read_text() == (tmp_path / "whole" / name).read_text()
    assert not partial.exists()


def test_two_devices_equal_one(files, tmp_path):
    # Without layer dropout, whose draws differ from device to device.
    model = ku.from_preset(files / "base")
    config = model.get_config()
    config["backbone"]["config"]["layer_dropout"] = 0.0
    plain = type(model).from_config(config)
    for ours, theirs in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        ours.assign(theirs)
    ku.save_preset(plain, tmp_path / "base", overwrite=True)
    (tmp_path / "pictures").symlink_to(files / "pictures")
    options = ["epochs=3", "patience=null"]
    for name, replicas in (("one", 1), ("two", 2)):
        finish(start(tmp_path, tmp_path / name, replicas, *options))
    for a, b in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
