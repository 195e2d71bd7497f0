"""The learning-rate range test: a few steps at rising rates show which rate to train with."""

import csv
import math
from contextlib import suppress
from typing import Any

import numpy as np

from keras_unrolled import engine
from keras_unrolled.analysis import plots
from keras_unrolled.engine.schedules import ExponentialRise
from keras_unrolled.finetuning.short_runs import shorten

LOWEST, HIGHEST = 1e-5, 1.0
STEPS = 50  # ten for each factor of ten, which gives a rate to 26%
WINDOW = 7  # steps that the smoothed loss is a mean of
KEPT = 0.75  # of the fall of the loss, which bounds the valley that the rate is taken from
MARGIN = 10.0  # by which the rate stays below the one at which the loss has doubled
DIVERGED = 2.0  # times the loss at the start, from which higher rates tell nothing


def run_range_test(job, folder, strategy, make_stream) -> dict[str, Any]:
    """Takes `STEPS` steps of a job at rates that rise from `LOWEST` to `HIGHEST`.

    The test of Smith (2017, section 3.3, arXiv:1506.01186), with rates that rise by one factor
    from step to step. The job's own weights stay as they are: the steps are taken by a copy.

    Args:
        job: the `Job` of a phase.
        folder: path of a folder for the test's own run.
        strategy: what `engine.make_strategy` returned.
        make_stream: function of (recipe, steps_per_epoch) that returns a stream.

    Returns:
        A dict: "learning_rate", see `suggest_rate`, or None; "steps", how many were taken; and
        "curve", lists of the "learning_rate" and the training "loss" of each step.
    """
    losses: list[float] = []

    def note(found, state):
        if state.get("finished"):  # steps that were under way
            return
        losses[:] = [*state.get("curve", ()), *map(float, found)]
        losses[:] = losses[: find_end(losses)]
        state["curve"] = list(losses)
        if len(losses) < state["step"]:
            state["finished"] = True

    short = shorten(
        *(job, STEPS, folder, make_stream),
        schedule=ExponentialRise(LOWEST, HIGHEST, STEPS),
        after_steps=note,
        evaluate=None,
        title=f"{job.title}: rates",
    )
    with suppress(engine.NonFiniteLossError):  # the rates are too high, which the test is to find
        losses = engine.train(short, strategy)[1]["curve"]
    rates = list_rates()[: len(losses)]
    curve = {"learning_rate": rates, "loss": losses}
    return {"learning_rate": suggest_rate(rates, losses), "steps": len(losses), "curve": curve}


def list_rates() -> list[float]:
    """The learning rate of each step of a test."""
    return np.geomspace(LOWEST, HIGHEST, STEPS).tolist()


def find_end(losses) -> int:
    """How many of some losses come before the first that shows too high a rate."""
    limit = DIVERGED * float(np.mean(losses[:WINDOW]))
    smoothed = smooth(losses)
    for i, loss in enumerate(losses):
        if not math.isfinite(loss) or smoothed[i] > limit:
            return i
    return len(losses)


def smooth(losses) -> np.ndarray:
    """The mean of each loss with its neighbors, `WINDOW` at most, as many on each side.

    Unlike a running mean it does not lag, so that the curve's lowest point stays at its rate.
    """
    losses, half = np.asarray(losses, "float64"), WINDOW // 2
    sides = [min(half, i, len(losses) - 1 - i) for i in range(len(losses))]
    return np.array([losses[i - k : i + k + 1].mean() for i, k in enumerate(sides)])


def suggest_rate(rates, losses) -> float | None:
    """The rate to train with: the middle of the valley of the smoothed loss, on a logarithmic scale.

    The valley is the stretch of rates around the lowest point in which at least three quarters of the
    fall from the start are kept. Its middle depends less on the noise of single batches than the
    lowest point does. The last points, which are means of fewer losses, are no part of it. Where the test ended
    early, the rate stays a factor of ten below its last one: what holds for some steps need not hold for epochs.

    Args:
        rates: list of float, ascending; they end below `HIGHEST` where the test ended early.
        losses: list of float, the training loss at each.

    Returns:
        A float, or None where the loss does not fall, so that the test shows no rate.
    """
    if len(losses) < 2 * WINDOW:
        return None
    smoothed = smooth(losses)[: -(WINDOW // 2)]
    lowest, start = int(np.argmin(smoothed)), float(np.mean(losses[:WINDOW]))
    if lowest < WINDOW or smoothed[lowest] >= start:
        return None
    high = smoothed > start - KEPT * (start - smoothed[lowest])
    first = max((i + 1 for i in range(lowest) if high[i]), default=0)
    last = min((i - 1 for i in range(lowest, len(high)) if high[i]), default=len(high) - 1)
    rate = math.sqrt(rates[first] * rates[last])
    if rates[-1] < HIGHEST:
        rate = min(rate, rates[-1] / MARGIN)
    return float(f"{rate:.2g}")


def write_curve(test, path):
    """Writes the steps of what `run_range_test` returned as CSV."""
    rates, losses = test["curve"]["learning_rate"], test["curve"]["loss"]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["step", "learning_rate", "loss", "smoothed_loss"])
        for i, row in enumerate(zip(rates, losses, smooth(losses)), start=1):
            rows.writerow([i, *row])


def draw_curve(test, path):
    """Draws the steps of what `run_range_test` returned, with the rate that was chosen."""
    curve = {**test["curve"], "smoothed": smooth(test["curve"]["loss"])}
    plots.plot_rates(curve, test["learning_rate"], path)
