"""Several runs within a time budget: the processes, and what becomes of them."""

import argparse
import sys

import pytest

from training import sweep

SLEEPER = """
import signal, sys, time
def stop(*args):
    print("stopped at step 5", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("begun", flush=True)
time.sleep({seconds})
sys.exit({code})
"""


def make_run(folder, name, seconds=0.0, code=0):
    program = SLEEPER.format(seconds=seconds, code=code)
    return sweep.Run(name, 0, [sys.executable, "-c", program], folder / name)


def test_runs_end_in_order_and_failures_are_named(tmp_path, capsys):
    runs = [make_run(tmp_path, "a"), make_run(tmp_path, "b", code=3), make_run(tmp_path, "c")]
    sweep.execute(runs, 500, parallel=1)
    assert [run.status.split(":")[0] for run in runs] == [
        "finished",
        "failed with exit code 3",
        "finished",
    ]
    started = [line for line in capsys.readouterr().out.splitlines() if "started" in line]
    assert started == [f"{name}-seed0: started" for name in "abc"]
    assert (tmp_path / "b" / "run.log").read_text() == "begun\n"


def test_time_budget_stops_what_runs_and_starts_nothing_more(tmp_path):
    runs = [make_run(tmp_path, name, seconds=600) for name in "abc"]
    sweep.execute(runs, 3, parallel=2)
    assert [run.status for run in runs] == ["stopped, to be resumed"] * 2 + ["no time left"]
    assert all(run.process.poll() is not None for run in runs[:2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--presets", "resnet_cifar10"], "resnet_bn_cifar10"),
        (["--presets", "resnet_bn_cifar10", "--recipe", "strong"], "--presets"),
        (["--presets", "resnet_bn_cifar10", "--recipe", "clasic"], "classic"),
        (["--presets", "resnet_bn_cifar10", "--parallel", "0"], "--parallel"),
        (["--presets", "resnet_bn_cifar10", "--seeds", "-1"], "--seeds"),
    ],
    ids=["preset", "other recipe", "unknown recipe", "parallel", "seed"],
)
def test_bad_input_costs_a_message_and_exit_code_2(tmp_path, capsys, arguments, message):
    common = ["--minutes", "1", "--data-dir", "x", "--workdir", str(tmp_path / "runs")]
    assert sweep.main([*arguments, *common]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_each_run_is_the_training_program_with_its_seed(tmp_path):
    options = argparse.Namespace(
        presets=["resnet_bn_cifar10", "highway_small_ptb"],
        seeds=[0, 1],
        recipe=None,
        set=["epochs=2"],
        smoke=True,
        train_only=True,
        data_dir="data",
        workdir=str(tmp_path),
    )
    runs = sweep.make_runs(options)
    assert [run.name for run in runs] == [
        "resnet_bn_cifar10-seed0",
        "highway_small_ptb-seed0",
        "resnet_bn_cifar10-seed1",
        "highway_small_ptb-seed1",
    ]
    assert [run.command[1].rsplit("/", 1)[1] for run in runs[:2]] == ["cifar10.py", "ptb.py"]
    assert runs[2].command[2:] == [
        *("--preset", "resnet_bn_cifar10", "--data-dir", "data"),
        *("--workdir", str(tmp_path / "resnet_bn_cifar10-seed1")),
        *("--set", "seed=1", "epochs=2", "--smoke", "--train-only"),
    ]
