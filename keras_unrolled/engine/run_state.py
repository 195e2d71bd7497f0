"""The state of a run: how far it is, and the sums that its next row of the log needs."""

from typing import Any

from keras_unrolled import environment


def new_state(job) -> dict[str, Any]:
    """The state of a run before its first step, a JSON-able dict."""
    return {
        "step": 0,
        "hours": 0.0,
        "losses": [0.0, 0.0, 0],  # of this epoch: sums of loss and hits, and the number of steps
        "seconds": 0.0,  # of this epoch
        **job.initial_state,
    }


def add_steps(state, losses, hits, seconds):
    """Adds some steps to a state.

    Args:
        state: dict, changed in place.
        losses: float array `(steps,)`.
        hits: float array `(steps,)`, shares of right answers.
        seconds: float, the time that they took.
    """
    loss, hit, count = state["losses"]
    state["losses"] = [
        loss + float(losses.astype("float64").sum()),
        hit + float(hits.astype("float64").sum()),
        count + len(losses),
    ]
    state["step"] += len(losses)
    state["hours"] += seconds / 3600
    state["seconds"] += seconds


def summarize_epoch(state, job, learning_rate) -> dict[str, float]:
    """The row of the log for the epoch that a state has just completed."""
    loss, hits, count = state["losses"]
    recipe = job.recipe
    return {
        "epoch": job.epoch_of(state["step"]),
        "step": state["step"],
        "learning_rate": learning_rate,
        "loss": loss / count,
        "accuracy": hits / count,
        f"{recipe.step_unit}_per_second": count * recipe.units_per_step / state["seconds"],
        "hours": state["hours"],
    }


def start_epoch(state):
    """Clears what a state holds of one epoch only."""
    state["losses"], state["seconds"] = [0.0, 0.0, 0], 0.0


def is_finished(state, job) -> bool:
    """Whether a run has no more steps to take."""
    return state["step"] >= job.total_steps or state.get("finished", False)


def note_machine(state) -> None:
    """Adds this machine and its software to those that a run has been on, for the record."""
    machine = {
        "hardware": environment.hardware(),
        "versions": environment.software_versions(),
    }
    if machine not in state.setdefault("machines", []):
        state["machines"].append(machine)
