"""How changed schedules are compared with the network that has nothing changed."""

from typing import Any

from keras_unrolled.evaluation.comparison import paired_interval, wilson_interval
from keras_unrolled.reporting.verdicts import NEITHER, Estimate, Finding

RECALIBRATED = {False: "", True: "With recalibrated batch statistics, "}
INTACT = ("none", 0)  # what names the network with nothing changed in a table's first column


def find_change(name: str, row: dict[str, Any], base: dict[str, Any]) -> Estimate:
    """How a schedule changes accuracy, or, without labels, the share of answers that stay the same.

    Args:
        name: string.
        row: a row of `run_schedules`.
        base: the row to compare with: the network with nothing changed, with the same batch statistics.

    Returns:
        An `Estimate` with the paired interval of the change (Newcombe 1998, method 10).
    """
    if row["accuracy"] is None:
        same = round(row["agreement"] * row["n"])
        low, high = paired_interval(same, 0, row["n"] - same, 0)
        return Estimate(name, row["agreement"] - 1, low, high)
    before = base["accuracy"]
    return Estimate(name, row["accuracy"] - before, row["low"] - before, row["high"] - before)


def find_accuracy(name: str, row: dict[str, Any]) -> Estimate:
    """A row's accuracy with its own 95% interval, Wilson's."""
    return Estimate(name, row["accuracy"], *wilson_interval(row["accuracy"], row["n"]))


def turns(table: Any, column: str) -> Any:
    """Yields whether batch statistics were recalibrated, the row to compare with, and the others."""
    rows = list(table)
    for turn in RECALIBRATED:
        base = [r for r in rows if r["recalibrated"] == turn and r[column] in INTACT]
        others = [r for r in rows if r["recalibrated"] == turn and r[column] not in INTACT]
        if others:
            yield turn, base[0], others


def begin(text: str, turn: bool) -> str:
    """The beginning of a sentence, which says where batch statistics were recalibrated."""
    return RECALIBRATED[turn] + text if turn else text[0].upper() + text[1:]


def judge_recalibration(table: Any, column: str) -> list[Finding]:
    """A finding on what recalibration alone does to the network with nothing left out."""
    whole = {r["recalibrated"]: r for r in table if r[column] in INTACT}
    if len(whole) < 2:
        return []
    text = "Recalibration alone, with nothing changed, "
    score = "accuracy" if whole[False]["accuracy"] is not None else "agreement"
    if score == "accuracy":
        before, after = whole[False]["accuracy"], whole[True]["accuracy"]
        text += f"turns accuracy from {100 * before:.1f}% to {100 * after:.1f}%"
    else:
        text += f"leaves {100 * whole[True]['agreement']:.1f}% of the answers the same"
    text += ": recalibrated networks are compared with the network that is recalibrated, too."
    return [Finding(NEITHER, text)]
