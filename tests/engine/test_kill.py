"""A run that is killed many times ends with the weights of an unbroken one, to the bit."""

import csv
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from keras_unrolled.engine import checkpoint
from tests.engine.kill_worker import EPOCHS, EVERY, STEPS_PER_EPOCH
from tests.engine.processes import HANG, KILLS, cluster_env, free_ports, wait_for

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("kill_worker.py")
STEPS = EPOCHS * STEPS_PER_EPOCH


def start(workdir, out, cluster=None):
    command = [sys.executable, str(WORKER), str(workdir), str(out)]
    return subprocess.Popen(command, env=cluster_env(cluster), stderr=subprocess.PIPE, text=True)


def finish(process, out):
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors[-4000:]
    with np.load(out) as file:
        return dict(file)


def losses(workdir):
    with open(workdir / "log.csv", newline="") as file:
        return [row["loss"] for row in csv.DictReader(file)]


def half_written(workdir):
    return list((workdir / "checkpoints").glob(".*"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    root = tmp_path_factory.mktemp("unbroken")
    return finish(start(root / "run", root / "out.npz"), root / "out.npz"), losses(root / "run")


def test_kills_at_random_moments_change_nothing(unbroken, tmp_path):
    rng = random.Random(3)
    workdir, out = tmp_path / "run", tmp_path / "out.npz"
    moments = sorted(rng.sample(range(EVERY, STEPS - EVERY, EVERY), KILLS))
    while_writing = 0
    for number, moment in enumerate(moments):
        process = start(workdir, out)

        def reached(moment=moment):
            return (checkpoint.list_steps(workdir) or [0])[0] >= moment

        assert wait_for(reached, process)
        if number % 2:  # while the next checkpoint is being written
            assert wait_for(lambda: half_written(workdir), process)
        else:
            time.sleep(rng.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        while_writing += bool(half_written(workdir))
    found = finish(start(workdir, out), out)
    expected, expected_losses = unbroken
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_allclose(
        np.array(losses(workdir), float), np.array(expected_losses, float), rtol=1e-12
    )
    if KILLS >= 4:  # of few kills none may fall into the moment of writing
        assert while_writing >= KILLS // 4
    assert half_written(workdir) == []


def test_sigterm_saves_and_ends_the_run(unbroken, tmp_path):
    workdir, out = tmp_path / "run", tmp_path / "out.npz"
    process = start(workdir, out)
    assert wait_for(lambda: checkpoint.list_steps(workdir), process)
    process.terminate()
    _, errors = process.communicate(timeout=HANG)
    assert "Stopped: stopped at step" in errors
    stopped = int(errors.rsplit("stopped at step ", 1)[1].split(",")[0])
    assert checkpoint.list_steps(workdir)[0] == stopped < STEPS
    found = finish(start(workdir, out), out)
    for name, value in unbroken[0].items():
        np.testing.assert_array_equal(found[name], value)


def test_killed_worker_ends_the_others_and_the_run_resumes(tmp_path):
    def start_both(folder):
        ports = free_ports(2)
        return [
            start(folder, tmp_path / f"{folder.name}-{i}.npz", cluster=(ports, i)) for i in (0, 1)
        ]

    def finish_both(processes, folder):
        errors = {}

        def read(i, process):
            errors[i] = process.communicate(timeout=HANG)[1]

        readers = [threading.Thread(target=read, args=each) for each in enumerate(processes)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        codes = [process.returncode for process in processes]
        assert codes == [0, 0], (codes, errors[0][-3000:], errors[1][-3000:])
        found = []
        for i in (0, 1):
            with np.load(tmp_path / f"{folder.name}-{i}.npz") as file:
                found.append(dict(file))
        return found

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = finish_both(start_both(whole), whole)
    processes = start_both(broken)
    assert wait_for(lambda: (checkpoint.list_steps(broken) or [0])[0] >= 10, processes[0])
    processes[1].kill()
    processes[1].communicate()
    # The other one does not wait for ever.
    _, errors = processes[0].communicate(timeout=HANG)
    assert processes[0].returncode != 0, errors[-2000:]
    assert 10 <= checkpoint.list_steps(broken)[0] < STEPS
    for found, arrays in zip(finish_both(start_both(broken), broken), expected, strict=True):
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
