import json
import os
import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from keras_unrolled import InputError
from keras_unrolled.engine import make_strategy
from keras_unrolled.engine.tensorflow.rendezvous import wait_for_workers
from tests.conftest import ROOT
from tests.engine.processes import free_ports


def test_machine_without_gpus_gets_one_device_by_default():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has GPUs")
    assert make_strategy() is tf.distribute.get_strategy()
    assert make_strategy(1).num_replicas_in_sync == 1


@pytest.mark.parametrize("replicas", [0, -1, 1.5])
def test_impossible_number_of_replicas_is_rejected(replicas):
    with pytest.raises(InputError, match="Expected `replicas`"):
        make_strategy(replicas)


def run_code(code, **env):
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("index", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_missing_worker_is_reported_after_timeout(index):
    ports = free_ports(2)
    workers = [f"127.0.0.1:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    code = (
        "from keras_unrolled.engine import make_strategy\n"
        "try:\n    make_strategy(timeout=3)\nexcept ValueError as error:\n    print(error)"
    )
    done = run_code(code, TF_CONFIG=json.dumps(config))
    assert "every worker to join within 3 seconds" in done.stdout, done.stderr[-2000:]
    assert f"Worker {index} waited for 127.0.0.1:{ports[1 - index]}" in done.stdout


def test_many_workers_find_each_other():
    workers = [f"127.0.0.1:{port}" for port in free_ports(5)]
    threads = [threading.Thread(target=wait_for_workers, args=(workers, i, 20)) for i in range(5)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "env", "message"),
    [
        ("workers", {}, "Found neither"),
        ("tpu", {}, "Expected a TPU"),
        ("auto", {"TF_CONFIG": "{"}, "Expected TF_CONFIG to be JSON"),
        ("cloud", {}, "Expected `--strategy`"),
    ],
)
def test_missing_description_of_devices_is_reported(kind, env, message):
    code = (
        "from keras_unrolled.engine import make_strategy\n"
        f"try:\n    make_strategy(kind={kind!r})\nexcept ValueError as error:\n    print(error)"
    )
    done = run_code(code, **env)
    assert message in done.stdout, done.stderr[-2000:]


def test_cpu_is_divided_before_tensorflow_starts_and_not_after():
    code = (
        "from keras_unrolled.engine import make_strategy\n"
        "print(make_strategy(3).num_replicas_in_sync)\n"
        "print(make_strategy(2).num_replicas_in_sync)\n"  # of the three there are
        "try:\n    make_strategy(4)\nexcept ValueError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    three, two, message = done.stdout.splitlines()
    assert (three, two) == ("3", "2")
    assert "Make the strategy first" in message
