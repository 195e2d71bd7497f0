import json
import socket
import subprocess
import sys
import threading
import time

import pytest
import tensorflow as tf

from keras_unrolled import InputError
from keras_unrolled.engine import make_strategy
from keras_unrolled.engine.tensorflow import rendezvous
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


@pytest.mark.parametrize("index", [0, 1])
def test_missing_worker_is_reported_after_timeout(index, monkeypatch):
    ports = free_ports(2)
    workers = [f"127.0.0.1:{port}" for port in ports]
    monkeypatch.setenv("TF_CONFIG", config(workers, index))
    with pytest.raises(InputError, match="every worker to join within 1 seconds") as error:
        make_strategy(timeout=1)
    assert f"Worker {index} waited for 127.0.0.1:{ports[1 - index]}" in str(error.value)


def test_strangers_are_not_workers():
    (port, _) = free_ports(2)
    workers = [f"127.0.0.1:{port}", "127.0.0.1:1"]
    ended = []

    def chief():
        wait_for_workers(workers, 0, 200)
        ended.append(time.monotonic())

    thread = threading.Thread(target=chief)
    thread.start()
    greeting = rendezvous.make_greeting(workers, 1)
    for content in (
        b"",
        b"GET / HTTP/1.1\r\nHost: chief\r\n\r\n",
        greeting[:-1],
        greeting[:-4] + (2).to_bytes(4, "big"),
        rendezvous.make_greeting(workers[:1], 1),
        (1).to_bytes(4, "big"),
    ):
        with connect(port) as stranger:
            stranger.sendall(content)
            stranger.shutdown(socket.SHUT_WR)
            stranger.settimeout(60)
            assert stranger.recv(2) == b""  # turned away
    assert not ended
    silent = connect(port)  # says nothing and stays
    wait_for_workers(workers, 1, 200)
    thread.join(timeout=200)
    assert len(ended) == 1
    silent.close()


def connect(port):
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the chief does not listen")


def test_port_in_use_is_reported_at_once():
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"Expected port {port} of this machine to be free"):
            wait_for_workers([f"127.0.0.1:{port}", "127.0.0.1:1"], 0, 60)


def config(workers, index=0, kind="worker", **cluster):
    cluster = {"worker": workers, **cluster}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        '{"cluster": []}',
        '{"cluster": {"worker": "host:1"}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": null}',
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        config(["a:1", "b:1"], 2),
        config(["a:1", "b:1"], -1),
        config(["a:1", "b:1"], "1"),
        config(["a:1", "b:1"], True),
        config(["a:1", "a:1"]),
        config(["a:1", 5]),
        config(["a:1", "b:1"], kind="evaluator"),
        config(["a:1", "b:1"], ps=["c:1"]),
        config(["a", "b:1"]),
        config(["a:x", "b:1"]),
        config(["a:0", "b:1"]),
        config(["a:70000", "b:1"]),
        config([":1", "b:1"]),
        config(["a:\u0661", "b:1"]),
        config(["http://a:80", "b:1"]),
        config(["a b:1", "b:1"]),
        config(["a..b:1", "b:1"]),
        config(["x" * 5_000 + ":1", "b:1"]),
        config(["\udce9:1", "b:1"]),
        config(["a:" + "9" * 5_000, "b:1"]),
        "[" * 100_000,
    ],
)
def test_cluster_that_cannot_be_is_rejected_at_once(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG"):
        make_strategy(kind="workers", timeout=60)


@pytest.mark.parametrize("number", ["two", "", "-1", "2.5"])
def test_number_of_tasks_that_cannot_be_is_rejected(number, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv("SLURM_NTASKS", number)
    with pytest.raises(InputError, match="SLURM"):
        make_strategy()


def test_incomplete_variables_of_slurm_are_rejected(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(InputError, match="Expected SLURM's variables"):
        make_strategy()


SLURM = {
    "NTASKS": "3",
    "PROCID": "2",
    "STEP_NUM_TASKS": "3",
    "STEP_NODELIST": "a,b",
    "STEP_TASKS_PER_NODE": "2,1",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "called with .'a:8888', 'a:8889', 'b:8888'. 2"),
        ({"PROCID": "7"}, "SLURM_PROCID is 7 of 3"),
        ({"PROCID": "-1"}, "whole number in SLURM_PROCID"),
        ({"STEP_TASKS_PER_NODE": "x"}, "SLURM's variables"),
        ({"STEP_NODELIST": "n[1-"}, "SLURM's variables"),
        ({"STEP_NODELIST": "a"}, "SLURM's variables"),
        ({"STEP_NODELIST": "n[1-999999999]"}, "STEP_NODELIST is"),
        ({"STEP_TASKS_PER_NODE": "1(x999999999)"}, "TASKS_PER_NODE is"),
    ],
)
def test_workers_of_slurm_are_found_without_gpus(monkeypatch, changes, message):
    def wait(workers, index, timeout):
        raise InputError(f"called with {workers} {index}")

    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {**SLURM, **changes}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setattr("keras_unrolled.engine.tensorflow.strategy.wait_for_workers", wait)
    with pytest.raises(InputError, match=message):
        make_strategy()


def test_many_workers_find_each_other():
    workers = [f"127.0.0.1:{port}" for port in free_ports(5)]
    threads = [threading.Thread(target=wait_for_workers, args=(workers, i, 200)) for i in range(5)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join(timeout=200)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("kind", "env", "message"),
    [
        ("workers", {}, "Found neither"),
        ("tpu", {}, "Expected a TPU"),
        ("auto", {"TF_CONFIG": "{"}, "Expected TF_CONFIG to be JSON"),
        ("cloud", {}, "Expected `--strategy`"),
    ],
)
def test_missing_description_of_devices_is_reported(kind, env, message, monkeypatch):
    for name in ("TF_CONFIG", "SLURM_NTASKS", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message):
        make_strategy(kind=kind)


@pytest.mark.slow
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
