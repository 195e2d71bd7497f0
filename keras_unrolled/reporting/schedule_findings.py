"""What changed schedules show: lesions, orders, repeats, parallel blocks, layer dropout."""

import math
from typing import Any

import numpy as np

from keras_unrolled.analysis.drawing import shorten
from keras_unrolled.analysis.moments import T_QUANTILE
from keras_unrolled.reporting.changes import (
    begin,
    find_accuracy,
    find_change,
    judge_recalibration,
    turns,
)
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
LIMIT = f"{100 * SMALL:.0f} points"
TIMES = {2: "twice", 3: "three times", 4: "four times"}


def _judge(changes, doing, turn, table, *, predicted=True):
    """Findings on changes that the iterative view expects to be small.

    `predicted` is whether a large change counts against the view.
    """
    small, large, undecided = sort_out(changes, -SMALL)
    kinds = [(FOR, small), (AGAINST if predicted else NEITHER, large), (NEITHER, undecided)]
    if _has_labels(table):
        texts = (
            f"{doing} costs less than {LIMIT} of accuracy",
            f"{doing} costs more than {LIMIT} of accuracy",
            f"whether {doing} costs more or less than {LIMIT} of accuracy is open",
        )
    else:
        kept = f"{100 * (1 - SMALL):.0f}% of the images"
        texts = (
            f"{doing} keeps the answer to more than {kept}",
            f"{doing} keeps the answer to less than {kept}",
            f"whether {doing} keeps the answer to more or less than {kept} is open",
        )
    findings = []
    for (verdict, chosen), text in zip(kinds, texts):
        if chosen:
            start, cases = begin(text, turn), count(chosen, changes, "case")
            findings.append(Finding(verdict, f"{start} in {cases}; {_list(chosen, table)}."))
    return findings


def _has_labels(table):
    return table.rows[0]["accuracy"] is not None


def _list(changes, table):
    """The end of a sentence: changes of accuracy, or the share of answers that stay the same."""
    if _has_labels(table):
        return f"accuracy changes by: {join(e.show('+.1f', ' points', 100) for e in changes)}"
    kept = [Estimate(e.name, 1 + e.value, 1 + e.low, min(1.0, 1 + e.high)) for e in changes]
    return f"answers stay the same for: {join(e.show('.1f', '%', 100) for e in kept)}"


def judge_lesion(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks that are left out."""
    findings = []
    for turn, base, rows in turns(table, "block"):
        changes: dict[bool, list[Estimate]] = {True: [], False: []}
        kept = []
        for row in rows:
            name = block(row["block"]) + (", C kept," if row["how"] == "keep_carry" else "")
            is_transition = not context.transitions.isdisjoint(row["block"].split("+"))
            changes[is_transition].append(find_change(name, row, base))
            kept += [] if is_transition else [row]
        findings += _judge(changes[False], "leaving out a block", turn, table)
        if changes[True]:
            text = begin("of leaving out a transition block the view predicts nothing", turn)
            findings.append(Finding(NEITHER, f"{text}; {_list(changes[True], table)}."))
        findings += _find_chance(kept, base, turn, context)
    return findings + judge_recalibration(table, "block")


def _find_chance(rows, base, turn, context):
    """A finding on blocks of one shape without which a network that works is at chance.

    Accuracies have intervals of their own: one counts as chance if the whole of it is below chance plus
    5 points, and the intact network works if the whole of its interval is above that.
    """
    if not context.num_classes or not rows or rows[0]["accuracy"] is None:
        return []
    chance = 1 / context.num_classes
    if find_accuracy("", base).low <= chance + SMALL:
        return []
    found = [find_accuracy(block(row["block"]), row) for row in rows]
    lost = [e for e in found if e.high < chance + SMALL]
    if not lost:
        return []
    names = join(e.show(".1f", "%", 100) for e in lost)
    text = (
        f"accuracy is no better than chance ({100 * chance:.1f}%) plus {LIMIT} in "
        f"{count(lost, rows, 'case')}: {names}."
    )
    return [Finding(AGAINST, begin(text, turn))]


def judge_shuffle(table: Any, context: Context) -> list[Finding]:
    """Findings on other orders."""
    findings = []
    for turn, intact, rows in turns(table, "stage"):
        for doing, chosen, predicted in (
            ("exchanging two neighbors", [r for r in rows if r["discordant"] == 1], True),
            ("an order with more reversed pairs", [r for r in rows if r["discordant"] > 1], False),
        ):
            changes = [
                find_change(f"stage {row['stage']}, {row['order']},", row, intact) for row in chosen
            ]
            findings += _judge(changes, doing, turn, table, predicted=predicted)
        for stage in sorted({row["stage"] for row in rows}):
            chosen = [row for row in rows if row["stage"] == stage]
            findings += _correlate(chosen, intact, stage, turn)
    return findings + judge_recalibration(table, "stage")


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
    how = "the damage need not follow the reversed pairs"
    if correlation.high < 0:
        how = "more reversed pairs do more damage, as in any network whose blocks have an order"
    elif correlation.low > 0:
        how = "more reversed pairs do less damage"
    text = (
        f"{begin(f'in stage {stage}', turn)} {how}: {correlation.show()} over {len(pairs)} orders; the "
        "interval is over orders, not images."
    )
    return [Finding(NEITHER, text)]


def _rank(values):
    """Ranks with ties at their mean."""
    values = np.asarray(values, float)
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def judge_repeat(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks that are run several times."""
    findings = []
    for turn, intact, rows in turns(table, "block"):
        for times in sorted({row["times"] for row in rows}):
            changes = [
                find_change(block(row["block"]), row, intact)
                for row in rows
                if row["times"] == times
            ]
            doing = f"running a block {TIMES.get(times, f'{times} times')} in a row"
            findings += _judge(changes, doing, turn, table)
    return findings + judge_recalibration(table, "block")


def judge_parallel(table: Any, context: Context) -> list[Finding]:
    """Findings on blocks side by side."""
    findings = []
    for turn, intact, rows in turns(table, "stage"):
        changes = [find_change(f"blocks {shorten(r['blocks'])}", r, intact) for r in rows]
        doing = "letting blocks of a stage read the same input"
        findings += _judge(changes, doing, turn, table)
    return findings + judge_recalibration(table, "stage")


def judge_layer_dropout_curve(table: Any, context: Context) -> list[Finding]:
    """Findings on more and more blocks left out."""
    column = "accuracy" if _has_labels(table) else "agreement"
    what = {"accuracy": "accuracy", "agreement": "the share of answers that stay the same"}[column]
    chance = 1 / context.num_classes if context.num_classes else 0.0
    findings = []
    for turn, intact, rows in turns(table, "count"):
        half = (intact[column] + chance) / 2
        means = [_average(rows, number, column) for number in sorted({r["count"] for r in rows})]
        first, last = means[0], means[-1]
        start = begin(what, turn)
        goal = f"half of the way from the intact network to chance ({100 * half:.1f}%)"
        over = "the intervals are over the sets that were drawn"
        works = column == "agreement" or find_accuracy("", intact).low > chance + SMALL
        if works and last.low > half:
            text = f"{start} stays above {goal}, with {last.show('.1f', '%', 100)}; {over}."
            findings.append(Finding(FOR, text))
        elif works and first.high < half:
            text = f"{start} is below {goal} at once, with {first.show('.1f', '%', 100)}; {over}."
            findings.append(Finding(AGAINST, text))
        else:
            shown = "; ".join(e.show(".1f", "%", 100) for e in means)
            how = f"crosses {goal} as more are left out"
            if not works:
                how = "of the intact network is near chance, and no measure of what is left out"
            findings.append(Finding(NEITHER, f"{start} {how}: {shown}; {over}."))
    return findings + judge_recalibration(table, "count")


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
