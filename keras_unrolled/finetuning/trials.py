"""Short trials of a few learning rates, of which the best on the held-out images is trained with."""

import json
import shutil
import time
from contextlib import suppress
from typing import Any

from keras_unrolled import checks, engine, files
from keras_unrolled.finetuning.short_runs import shorten

FACTORS = (1.0, 3.0, 1 / 3)  # of the rate; two trials take the first two
SHARE = 1 / 3  # of a phase's steps that a trial takes, unless the time is short
LEAST = 10  # steps of a trial: fewer show nothing of a rate
LEAST_HELD = 10  # images that are held out: of fewer one decides
PACE = 2  # steps that are timed, after as many that also build the step


def check_held(options, count):
    """Raises `InputError` for trials with too few held-out images to choose by.

    Args:
        options: `Options`.
        count: int, how many images are held out.
    """
    if options.tries is not None and count < LEAST_HELD:
        raise checks.InputError(
            f"Expected at least {LEAST_HELD} held-out images for --try to choose by. Found {count}. "
            "Add images, raise --held-out, or leave --try out."
        )


def run_trials(job, folder, strategy, make_stream, options) -> dict[str, Any]:
    """Trains briefly at each of a few learning rates, from the same weights.

    Args:
        job: the `Job` of the phase to choose for.
        folder: path of a folder for the trials' runs.
        strategy: what `engine.make_strategy` returned.
        make_stream: function of (recipe, steps_per_epoch) that returns a stream.
        options: `Options`; `tries` and `try_minutes` count.

    Returns:
        A dict: "trials", a list of dicts with "learning_rate", "steps", "val_accuracy", "val_loss" (both None where the loss did not stay finite), "seconds" and
        "chosen"; and "note", a sentence where there was no time for them, else None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pace = _keep(folder / "pace.json", lambda: _measure(job, strategy, folder, make_stream))
    wanted = min(job.total_steps, max(LEAST, round(SHARE * job.total_steps)))
    steps = plan_steps(wanted, options, pace)
    if steps < min(LEAST, wanted):
        needed = (min(LEAST, wanted) * pace["step"] + pace["rest"]) * options.tries / 60
        note = (
            f"{options.try_minutes:g} minutes are too short for {options.tries} trials, which take "
            f"at least {needed:.1f} here: none was made"
        )
        return {"trials": [], "note": note}
    trials = []
    for number, factor in enumerate(FACTORS[: options.tries], start=1):
        rate = float(f"{factor * job.recipe.learning_rate:.3g}")
        short = shorten(
            *(job, steps, folder / f"trial_{number}", make_stream),
            learning_rate=rate,
            title=f"trial {number} of {options.tries}, rate {rate:g}",
        )
        figures = _keep(folder / f"{number}.json", lambda: _try_one(short, strategy))  # noqa: B023
        trials.append({"learning_rate": rate, "steps": steps, **figures})
    best = min(range(len(trials)), key=lambda i: _rank(trials[i]))
    for i, trial in enumerate(trials):
        trial["chosen"] = i == best
    return {"trials": trials, "note": None}


def plan_steps(wanted, options, pace) -> int:
    """How many steps each trial takes within the time.

    Args:
        wanted: int, steps if there is time.
        options: `Options`.
        pace: dict of seconds: "step", and "rest" for what a trial does besides.
    """
    seconds = 60 * options.try_minutes / options.tries - pace["rest"]
    return max(0, min(wanted, int(seconds / max(1e-6, pace["step"]))))


def _rank(trial):
    """Held-out accuracy, then held-out loss; smaller is better, and equals keep their order."""
    if trial["val_accuracy"] is None:
        return (1,)
    return (0, -trial["val_accuracy"], trial["val_loss"])


def _keep(path, make):
    """What a file has, or what `make` returns, which is then kept in it."""
    if not path.is_file():
        files.write_text(path, json.dumps(make()))
    return files.read_json(path)


def _try_one(job, strategy):
    figures: dict[str, Any] = {"val_accuracy": None, "val_loss": None}

    def after_epoch(model, optimizer, row, state):
        state["figures"] = {name: float(row[name]) for name in figures}

    began = time.perf_counter()
    job.after_epoch = after_epoch
    with suppress(engine.NonFiniteLossError):  # a rate that is too high has lost
        figures = engine.train(job, strategy)[1]["figures"]
    return {**figures, "seconds": round(time.perf_counter() - began, 1)}


def _measure(job, strategy, folder, make_stream):
    """The seconds of a step, and of all that a trial does besides its steps."""
    seconds: list[float] = []
    shutil.rmtree(folder / "pace", ignore_errors=True)  # timed as a whole, or not at all
    began = time.perf_counter()
    # At a rate of 0: one that is too high for any step must not end the run before its trials.
    short = shorten(*(job, 2 * PACE, folder / "pace", make_stream), learning_rate=0.0, title="pace")
    short.checkpoint_every = PACE  # a call's steps end there
    short.after_steps = lambda losses, state: seconds.append(state["seconds"])
    engine.train(short, strategy)
    step = (seconds[-1] - seconds[0]) / PACE
    return {"step": step, "rest": time.perf_counter() - began - 2 * PACE * step}
