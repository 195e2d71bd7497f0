"""The engine on JAX gives what the engine on TensorFlow gives."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, models
from keras_unrolled.engine import ImageRecipe, Job, checkpoint
from keras_unrolled.engine.jax import batches, loop, sharding
from tests.engine.processes import HANG
from tests.nets import randomize

WORKER = Path(__file__).parent / "replica_worker.py"
PROGRAM = Path(__file__).parents[2] / "training" / "cifar10.py"


def jax_env(devices=1):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


@pytest.fixture(scope="module")
def initial(tmp_path_factory):
    model = models.highway(8, dataset="cifar", stackwise_num_filters=[16, 16, 16])
    randomize(model)
    path = tmp_path_factory.mktemp("fit") / "initial.npz"
    np.savez(path, *[keras.ops.convert_to_numpy(w) for w in model.weights])
    return path


def run(out, initial, replicas=1, settings=(), **env):
    command = [
        sys.executable,
        str(WORKER),
        str(replicas),
        "float32",
        str(out),
        "learning_rate=0.05",
        *settings,
    ]
    env = {**os.environ, "INITIAL_WEIGHTS": str(initial), **env}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(out) as file:
        return dict(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [["accumulate=2"], ["mixup=0.3"]],  # images on the device, and sent by a pipeline
    ids=["images on the device", "stream"],
)
def test_jax_on_one_and_two_devices_equals_tensorflow(initial, tmp_path, settings):
    expected = run(tmp_path / "tensorflow.npz", initial, 1, settings)
    for devices in (1, 2) if settings == ["accumulate=2"] else (2,):
        env = jax_env(devices)
        found = run(tmp_path / f"jax{devices}.npz", initial, devices, settings, **env)
        assert found["replicas"] == devices
        assert found.keys() == expected.keys()
        for name in expected.keys() - {"replicas"}:
            difference = np.abs(found[name] - expected[name]).max()
            assert difference < 1e-4 * max(1, np.abs(expected[name]).max()), (name, difference)


def train(tfds_dir, workdir, *settings):
    command = [sys.executable, str(PROGRAM), "--preset", "resnet_bn_cifar10", "--smoke"]
    command += ["--data-dir", str(tfds_dir), "--workdir", str(workdir), "--checkpoint-every", "3"]
    command += ["--set", "network.depth=8", "network.stackwise_num_filters=[16,16,16]"]
    command += ["epochs=2", "precision=float32", *settings]
    return subprocess.Popen(
        command, env={**os.environ, **jax_env()}, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_run_on_jax_stops_at_sigterm_and_resumes_to_the_same_weights(tfds_dir, tmp_path):
    whole = train(tfds_dir, tmp_path / "whole")
    _, errors = whole.communicate(timeout=HANG)
    assert whole.returncode == 0, errors[-3000:]
    broken = train(tfds_dir, tmp_path / "broken")
    while broken.poll() is None and not checkpoint.list_steps(tmp_path / "broken"):
        time.sleep(0.02)
    broken.send_signal(signal.SIGTERM)
    _, errors = broken.communicate(timeout=HANG)
    assert broken.returncode == 0
    assert "stopped at step" in errors
    assert 3 <= checkpoint.list_steps(tmp_path / "broken")[0] < 14
    assert not (tmp_path / "broken" / "preset").exists()
    again = train(tfds_dir, tmp_path / "broken")
    _, errors = again.communicate(timeout=HANG)
    assert again.returncode == 0, errors[-3000:]
    one, other = (checkpoint.read(tmp_path / name, 14) for name in ("whole", "broken"))
    assert one[0]["state"]["step"] == other[0]["state"]["step"] == 14
    for name, array in one[1].items():
        np.testing.assert_array_equal(array, other[1][name])
    metrics = [
        json.loads((tmp_path / name / "preset" / "record.json").read_text())["metrics"]
        for name in ("whole", "broken")
    ]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_non_finite_loss_ends_the_run_with_code_3(tfds_dir, tmp_path):
    process = train(tfds_dir, tmp_path / "run", "learning_rate=1000", "warmup_epochs=0")
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 3
    assert "Expected a finite loss and gradient" in errors


@pytest.mark.parametrize(
    ("options", "job_options", "message"),
    [
        ({"synchronize": False}, {}, "synchronize=true"),
        ({"batch_size": 15}, {}, "divides by 2"),
        ({}, {"timeout": 5.0}, "a single process"),
    ],
    ids=["synchronize", "batch", "timeout"],
)
def test_what_this_engine_cannot_do_is_rejected(tmp_path, options, job_options, message):
    two = types.SimpleNamespace(devices=np.zeros(2))
    job = Job(
        recipe=ImageRecipe(network={}, **options),
        build=None,
        stream=None,
        steps_per_epoch=1,
        workdir=tmp_path / "run",
        **job_options,
    )
    with pytest.raises(InputError, match=message):
        loop.train(job, two)
    assert not (tmp_path / "run").exists()


def test_images_that_do_not_fit_the_device_are_sent_batch_by_batch():
    def device(limit):
        return types.SimpleNamespace(memory_stats=lambda: limit and {"bytes_limit": limit})

    assert "take 3.0 GiB, and the device has 4.0" in batches.explain_streaming(
        3 * 2**30, device(2**32)
    )
    assert batches.explain_streaming(2**30, device(2**32)) is None
    assert batches.explain_streaming(2**40, device(None)) is None


def test_other_strategies_are_rejected():
    with pytest.raises(InputError, match="auto, one or mirrored on JAX"):
        sharding.make_mesh(kind="tpu")
