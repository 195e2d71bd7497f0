"""Runs several training runs within a time budget, and resumes them the next time.

    python training/sweep.py --presets resnet_bn_cifar10 highway_bn_cifar10 --seeds 0 1 \\
        --minutes 12 --data-dir DIR --workdir DIR

Each run has its own folder WORKDIR/PRESET-seedN with a log, run.log. Runs go in the order of the
seeds, then of the presets; with --parallel several share the device. When the time is over each
is stopped at its next step and saved. The same command goes on with what is left.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout, not installed

from keras_unrolled import checks
from training import recipes

ROOT = Path(__file__).resolve().parent.parent
GRACE = 60  # seconds in which a run that was asked to stop takes its last step and saves
POLL = 0.2  # seconds


@dataclass
class Run:
    """One run of a sweep.

    Args:
        preset: its name.
        seed: int.
        command: list of strings.
        folder: path of its --workdir.
    """

    preset: str
    seed: int
    command: list[str]
    folder: Path
    process: Any = field(default=None, repr=False)
    seconds: float = 0.0
    status: str = "waiting"

    @property
    def name(self) -> str:
        return f"{self.preset}-seed{self.seed}"


def find_program(preset: str, recipe: str | None) -> list[str]:
    """The training program of a preset and its arguments that name preset and recipe.

    Raises:
        InputError: for a preset that no recipe trains.
    """
    if recipe is not None:
        known = dict.fromkeys(name for module in recipes.ALL for name in module.RECIPES)
        checks.one_of("--recipe", recipe, known)
    modules = recipes.list_modules(recipe)
    module = modules[checks.one_of("--presets", preset, modules)]
    command = [sys.executable, str(ROOT / module.PROGRAM), "--preset", preset]
    return [*command, *(["--recipe", recipe] if recipe else [])]


def make_runs(options) -> list[Run]:
    """The runs that the options name, in order."""
    runs = []
    for seed in options.seeds:
        checks.whole("--seeds", seed, least=0, most=2**31 - 1)
        for preset in options.presets:
            folder = Path(options.workdir) / f"{preset}-seed{seed}"
            command = find_program(preset, options.recipe)
            command += ["--data-dir", options.data_dir, "--workdir", str(folder)]
            command += ["--set", f"seed={seed}", *options.set]
            command += ["--smoke"] if options.smoke else []
            command += ["--train-only"] if options.train_only else []
            runs.append(Run(preset, seed, command, folder))
    return runs


def execute(runs: list[Run], seconds: float, parallel: int) -> None:
    """Starts the runs in order, `parallel` of them at a time, and stops them when time is over."""
    ends, waiting = time.monotonic() + seconds, list(runs)
    active: list[Any] = []
    env = dict(os.environ)
    if parallel > 1:  # JAX otherwise takes three quarters of the memory for each
        env.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / parallel:.3f}")
    try:
        while active or (waiting and time.monotonic() < ends):
            while waiting and len(active) < parallel and time.monotonic() < ends:
                active.append(_start(waiting.pop(0), env))
            time.sleep(POLL)
            if time.monotonic() >= ends:
                _stop(active)
            for run in [run for run in active if run.process.poll() is not None]:
                active.remove(run)
                _end(run)
    except KeyboardInterrupt:
        _stop(active)
        raise
    for run in waiting:
        run.status = "no time left"


def _start(run, env):
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / "run.log").open("ab") as log:
        run.process = subprocess.Popen(run.command, env=env, stdout=log, stderr=log)
    run.seconds = -time.monotonic()
    print(f"{run.name}: started", flush=True)
    return run


def _stop(active):
    """Asks the active runs to stop, and waits for them."""
    for run in active:
        run.process.send_signal(signal.SIGTERM)
    ends = time.monotonic() + GRACE
    for run in active:
        try:
            run.process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.process.kill()
            run.process.wait()


def _end(run):
    run.seconds += time.monotonic()
    code = run.process.returncode
    if code == -signal.SIGTERM:  # before its first step
        run.status = "stopped, to be resumed"
    elif code:
        run.status = f"failed with exit code {code}: see {run.folder / 'run.log'}"
    else:
        stopped = b"stopped at step" in (run.folder / "run.log").read_bytes()[-500:]
        run.status = "stopped, to be resumed" if stopped else "finished"
    print(f"{run.name}: {run.status} after {run.seconds:.0f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs a sweep; returns the exit code: 0 if every run finished, 1 if not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="training/sweep.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--presets", nargs="+", required=True, metavar="NAME")
    add("--recipe", metavar="NAME", help="Recipe of all of them (default: each program's first).")
    add("--seeds", nargs="+", type=int, default=[0], metavar="N", help="Seeds (default: 0).")
    add("--minutes", type=float, required=True, help="Time budget.")
    add("--data-dir", required=True, help="Folder of the data.")
    add("--workdir", required=True, help="Folder of the runs' folders.")
    add(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="As in training."
    )
    add("--parallel", type=int, default=1, help="Runs at a time on one device (default: 1).")
    add("--smoke", action="store_true", help="Try everything on a few examples.")
    add(
        "--train-only",
        action="store_true",
        help="Write no presets; the next sweep without it does.",
    )
    options = parser.parse_args(arguments)
    try:
        checks.real("--minutes", options.minutes, least=0, most=100_000)
        checks.whole("--parallel", options.parallel, least=1, most=64)
        runs = make_runs(options)
        execute(runs, 60 * options.minutes, options.parallel)
    except (checks.InputError, OSError) as error:
        print(f"training/sweep.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for run in runs:
        print(f"{run.name}: {run.status}")
    if any(run.status != "finished" for run in runs):
        print(f"The same command goes on: python {shlex.join(sys.argv)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
