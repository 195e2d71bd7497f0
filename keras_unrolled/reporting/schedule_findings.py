"""What changed schedules show: lesions, orders, repeats, parallel blocks, layer dropout."""

import math
from typing import Any

import numpy as np

from keras_unrolled.analysis.drawing import shorten
from keras_unrolled.analysis.moments import T_QUANTILE
from keras_unrolled.evaluation.comparison import paired_interval
from keras_unrolled.reporting.verdicts import (
    AGAINST,
    FOR,
    NEITHER,
    Context,
    Estimate,
    Finding,
    block,
    count,
    join,
    sort_out,
)

SMALL = 0.05  # of accuracy: a change that is less counts as small, one that is more as large
RECALIBRATED = {False: "", True: "With recalibrated batch statistics, "}
TIMES = {2: "twice", 3: "three times", 4: "four times"}


def find_change(name: str, row: dict[str, Any], intact: dict[str, Any]) -> Estimate:
    """How a schedule changes accuracy, or, without labels, the share of answers that stay the same.

    Args:
        name: string.
        row: a row of `run_schedules`.
        intact: the row of the network as it is.
    """
    if row["accuracy"] is not None:
        before = intact["accuracy"]
        return Estimate(name, row["difference"], row["low"] - before, row["high"] - before)
    same = round(row["agreement"] * row["n"])
    low, high = paired_interval(same, 0, row["n"] - same, 0)
    return Estimate(name, row["agreement"] - 1, low, high)


def _turns(table, column):
    """The intact row, and the others as trained and recalibrated."""
    rows = list(table)
    intact = next(row for row in rows if row[column] in ("none", 0))
    for turn in RECALIBRATED:
        others = [r for r in rows if r["recalibrated"] == turn and r[column] not in ("none", 0)]
        if others:
            yield turn, intact, others


def _measure_of(table):
    """What `find_change` counts in points."""
    return "accuracy" if table.rows[0]["accuracy"] is not None else "unchanged answers"


def _judge(changes, doing, turn, measure):
    """Findings on changes that the iterative view expects to be small."""
    small, large, undecided = sort_out(changes, -SMALL)
    limit, lowers = f"{100 * SMALL:.0f} points", f"{doing} lowers {measure}"
    texts = (
        (FOR, small, f"{lowers} by less than {limit}"),
        (AGAINST, large, f"{lowers} by more than {limit}"),
        (NEITHER, undecided, f"whether {lowers} by more or less than {limit} is open"),
    )
    findings = []
    for verdict, chosen, text in texts:
        if chosen:
            examples = join(e.show("+.1f", " points", 100) for e in chosen)
            start = begin(text, turn)
            findings.append(
                Finding(verdict, f"{start} in {count(chosen, changes, 'case')}: {examples}.")
            )
    return findings


def begin(text, turn):
    """The beginning of a sentence, which says where batch statistics were recalibrated."""
    return RECALIBRATED[turn] + text if turn else text[0].upper() + text[1:]


def judge_lesion(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks that are left out."""
    findings, costs = [], {}
    for turn, intact, rows in _turns(table, "block"):
        changes: dict[bool, list[Estimate]] = {True: [], False: []}
        for row in rows:
            name = block(row["block"]) + (", C kept," if row["how"] == "keep_carry" else "")
            is_transition = not context.transitions.isdisjoint(row["block"].split("+"))
            changes[is_transition].append(find_change(name, row, intact))
        findings += _judge(changes[False], "leaving out a block", turn, _measure_of(table))
        if changes[True]:
            shown = "; ".join(e.show("+.1f", " points", 100) for e in changes[True])
            findings.append(
                Finding(
                    NEITHER,
                    begin(
                        "leaving out a transition block, of which the view predicts nothing, ", turn
                    )
                    + f"changes {_measure_of(table)} by: {shown}.",
                )
            )
        findings += _find_chance(rows, turn, context)
        costs[turn] = np.mean([e.value for e in (*changes[False], *changes[True])])
    if len(costs) == 2:
        text = "Recalibrated batch statistics turn the mean change by a lesion from {:+.1f} to {:+.1f} points."
        findings.append(Finding(NEITHER, text.format(100 * costs[False], 100 * costs[True])))
    return findings


def _find_chance(rows, turn, context):
    """A finding on schedules that leave accuracy at chance."""
    if not context.num_classes or rows[0]["accuracy"] is None:
        return []
    chance = 1 / context.num_classes
    lost = [row for row in rows if row["low"] <= chance]
    if not lost:
        return []
    names = join(
        Estimate.of(block(row["block"]), row, "accuracy").show(".1f", "%", 100) for row in lost
    )
    text = (
        f"accuracy is no better than chance ({chance:.1%}) in {count(lost, rows, 'case')}: {names}."
    )
    return [Finding(AGAINST, begin(text, turn))]


def judge_shuffle(table: Any, context: Context) -> list[Finding]:
    """Findings on other orders."""
    findings = []
    for turn, intact, rows in _turns(table, "stage"):
        for doing, chosen in (
            ("exchanging two neighbors", [r for r in rows if r["discordant"] == 1]),
            ("an order with more reversed pairs", [r for r in rows if r["discordant"] > 1]),
        ):
            changes = [
                find_change(f"stage {row['stage']}, {row['order']},", row, intact) for row in chosen
            ]
            findings += _judge(changes, doing, turn, _measure_of(table))
        for stage in sorted({row["stage"] for row in rows}):
            chosen = [row for row in rows if row["stage"] == stage]
            findings += _correlate(chosen, intact, stage, turn)
    return findings


def _correlate(rows, intact, stage, turn):
    """Whether the damage grows with the number of reversed pairs in a stage."""
    column = "accuracy" if intact["accuracy"] is not None else "agreement"
    pairs = [0, *(row["discordant"] for row in rows)]
    scores = [intact[column], *(row[column] for row in rows)]
    if len(rows) < 5 or len(set(pairs)) < 3 or len(set(scores)) < 2:
        return []
    value = float(np.corrcoef(_rank(pairs), _rank(scores))[0, 1])
    # Fisher's interval, as Fieller et al. 1957 widen it for ranks.
    center, half = (
        math.atanh(np.clip(value, -0.9999, 0.9999)),
        1.96 * math.sqrt(1.06 / (len(pairs) - 3)),
    )
    correlation = Estimate(
        f"rank correlation of reversed pairs with {column}",
        value,
        math.tanh(center - half),
        math.tanh(center + half),
    )
    verdict = FOR if correlation.high < 0 else AGAINST if correlation.low > 0 else NEITHER
    how = {FOR: "more reversed pairs do more damage", AGAINST: "more reversed pairs do less damage"}
    start = begin(f"in stage {stage}", turn)
    return [
        Finding(
            verdict,
            f"{start} {how.get(verdict, 'the damage need not follow the reversed pairs')}: "
            f"{correlation.show()} over {len(pairs)} orders.",
        )
    ]


def _rank(values):
    """Ranks with ties at their mean."""
    values = np.asarray(values, float)
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def judge_repeat(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks that are run several times."""
    findings = []
    for turn, intact, rows in _turns(table, "block"):
        for times in sorted({row["times"] for row in rows}):
            changes = [
                find_change(block(row["block"]), row, intact)
                for row in rows
                if row["times"] == times
            ]
            doing = f"running a block {TIMES.get(times, f'{times} times')} in a row"
            findings += _judge(changes, doing, turn, _measure_of(table))
    return findings


def judge_parallel(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks side by side."""
    findings = []
    for turn, intact, rows in _turns(table, "stage"):
        changes = [find_change(f"blocks {shorten(r['blocks'])}", r, intact) for r in rows]
        doing = "letting blocks of a stage read the same input"
        findings += _judge(changes, doing, turn, _measure_of(table))
    return findings


def judge_layer_dropout_curve(table: Any, context: Context) -> list[Finding]:
    """Findings on more and more blocks left out."""
    column = "accuracy" if table.rows[0]["accuracy"] is not None else "agreement"
    chance = 1 / context.num_classes if context.num_classes else 0.0
    findings = []
    for turn, intact, rows in _turns(table, "count"):
        half = (intact[column] + chance) / 2
        means = [_average(rows, number, column) for number in sorted({r["count"] for r in rows})]
        first, last = means[0], means[-1]
        start = begin(column, turn)
        goal = f"half of the way from the intact network to chance ({half:.1%})"
        if last.low > half:
            text = f"{start} stays above {goal}, with {last.show('.1f', '%', 100)}."
            findings.append(Finding(FOR, text))
        elif first.high < half:
            text = f"{start} is below {goal} at once, with {first.show('.1f', '%', 100)}."
            findings.append(Finding(AGAINST, text))
        else:
            shown = "; ".join(e.show(".1f", "%", 100) for e in means)
            findings.append(
                Finding(NEITHER, f"{start} crosses {goal} as more are left out: {shown}.")
            )
    return findings


def _average(rows, number, column):
    """The mean over the sets of one size, with Student's interval over the sets."""
    values = [row[column] for row in rows if row["count"] == number]
    name = f"{number} block{'s' if number > 1 else ''} left out"
    degrees, mean = len(values) - 1, float(np.mean(values))
    if not degrees:
        return Estimate(name, mean, -math.inf, math.inf)
    quantile = T_QUANTILE[degrees] if degrees < len(T_QUANTILE) else 1.96
    half = quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(name, mean, max(0.0, mean - half), min(1.0, mean + half))
