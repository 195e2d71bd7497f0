"""What observed blocks show: estimation error, residuals, readouts, geometry, CKA, classes."""

import itertools
from collections import Counter
from typing import Any

import numpy as np

from keras_unrolled.reporting.verdicts import (
    AGAINST,
    FOR,
    NEITHER,
    Context,
    Estimate,
    Finding,
    block,
    count,
    divide,
    join,
    sort_out,
    step_findings,
)

SHARE = 0.05  # of the power of F: a mean that has less counts as 0


def judge_estimation_error(table: Any, context: Context) -> list[Finding]:
    """Findings on the normalized estimation error; a stage's last block has none by construction."""
    lasts = {stage[-1] for stage in context.stages}
    errors = {
        network: [
            Estimate.of(block(row["block"]), row, "normalized")
            for row in table
            if row["network"] == network and row["normalized"] is not None
        ]
        for network in dict.fromkeys(table["network"])
    }
    last_names = {block(name) for name in lasts}
    ours = [e for e in errors["model"] if e.name not in last_names]
    if not ours:
        text = "No stage has two blocks of one shape: there is no error but the last one's, which is 0 by construction."
        if sum(map(len, context.stages)) == 1:
            text = (
                "The network has a single block, whose error against itself is 0 by construction."
            )
        elif any(len(stage) > 1 for stage in context.stages):
            text = "There are too few images for a normalized error (2 at least)."
        return [Finding(NEITHER, text)]
    by_stage = [
        [e for e in ours if e.name in {block(name) for name in stage}] for stage in context.stages
    ]
    findings = step_findings(by_stage, "The normalized error", FOR, AGAINST)
    findings += divide(
        ours,
        1,
        (
            "In {} the output is farther from the stage's last one than a constant guess, whose error is 1",
            "In {} the output is closer to the stage's last one than a constant guess, whose error is 1",
            "In {} the output may be as far from the stage's last one as a constant guess, whose error is 1",
        ),
        (AGAINST, FOR, NEITHER),
    )
    if "control" not in errors:
        text = (
            "There was no control. In plain networks, too, the error is 0 at a stage's last block and may "
            "fall before it: compare with one (`--control`)."
        )
        return [*findings, Finding(NEITHER, text)]
    return [*findings, *_compare_errors(table, ours, errors["control"], context.control)]


def _compare_errors(table, ours, theirs, control):
    """Findings on a network's errors next to those of another, in stages of as many blocks."""
    blocks = {
        network: {(row["stage"], block(row["block"])) for row in table if row["network"] == network}
        for network in ("model", "control")
    }
    depths = {n: Counter(stage for stage, _ in names) for n, names in blocks.items()}
    alike = {s for s, depth in depths["model"].items() if depths["control"][s] == depth}
    comparable = {name for stage, name in blocks["model"] if stage in alike}
    others = {e.name: e for e in theirs if e.name in comparable}
    if not others:
        text = (
            f"No stage of {control} has as many blocks: blocks of one number are not at the same depth, and "
            "are not compared."
        )
        return [Finding(NEITHER, text)]
    pairs = [(e, others[e.name]) for e in ours if e.name in others]
    lower = [(a, b) for a, b in pairs if a.high < b.low]
    higher = [(a, b) for a, b in pairs if a.low > b.high]
    findings = []
    for verdict, chosen, word in ((FOR, lower, "smaller"), (AGAINST, higher, "larger")):
        if chosen:
            shown = join(f"{a.show()}, there {b.value:.2f}" for a, b in chosen)
            text = f"The normalized error is {word} than that of {control} at {count(chosen, pairs, 'block')}: {shown}."
            findings.append(Finding(verdict, text))
    rest = len(pairs) - len(lower) - len(higher)
    if rest:
        text = f"At {rest} of {len(pairs)} blocks it does not differ beyond its intervals from that of {control}."
        findings.append(Finding(NEITHER, text))
    return findings


def judge_residual_mean(table: Any, context: Context) -> list[Finding]:
    """Findings on E[F]."""
    found = {
        of: [
            Estimate.of(block(row["block"]), row, "share")
            for row in table
            if row["of"] == of and row["share"] is not None
        ]
        for of in dict.fromkeys(table["of"])
    }
    limit = f"{100 * SHARE:.0f}% of the power of F"
    findings = divide(
        found.get("residual", []),
        SHARE,
        (
            f"The mean of F has more than {limit} in {{}}, where the view expects none",
            f"The mean of F has less than {limit} in {{}}",
            f"The mean of F does not differ beyond its intervals from {limit} in {{}}",
        ),
        (AGAINST, FOR, NEITHER),
    )
    change = found.get("change")
    if change and change != found.get("residual"):  # else there is no last ReLU
        values = [e.value for e in change]
        text = (
            "Of the change of the output, which a last ReLU pushes up (it is at least F), the mean has "
            f"{100 * min(values):.1f}% to {100 * max(values):.1f}% of the power."
        )
        findings.append(Finding(NEITHER, text))
    return findings


def judge_readout(table: Any, context: Context) -> list[Finding]:
    """Findings on what can be read out before the last block."""
    findings = []
    chance = 1 / context.num_classes if context.num_classes else 0.0
    for kind in dict.fromkeys(table["readout"]):
        rows = [row for row in table if row["readout"] == kind and row["accuracy"] is not None]
        found = [Estimate.of(block(row["block"]), row, "accuracy") for row in rows]
        who = "The head" if kind == "head" else "A new probe"
        findings += _judge_chance(found[:-1], chance, who)
        findings += step_findings([found], f"{who}'s accuracy", AGAINST, FOR)
    return findings


def _judge_chance(found, chance, who):
    """Findings on accuracies before the last block; one that may be twice chance is left open."""
    above = sort_out(found, chance)[0]
    others = [e for e in found if e not in above]
    findings = []
    for verdict, chosen, how in (
        (FOR, above, "better than chance"),
        (AGAINST, [e for e in others if e.high < 2 * chance], "no better than chance"),
        (NEITHER, [e for e in others if e.high >= 2 * chance], "perhaps no better than chance"),
    ):
        if chosen:
            shown = join(e.show(".1f", "%", 100) for e in chosen)
            where = count(chosen, found, "block")
            text = f"{who} reads classes {how} ({100 * chance:.0f}%) before the last block, in {where}: {shown}."
            findings.append(Finding(verdict, text))
    return findings


def judge_geometry(table: Any, context: Context) -> list[Finding]:
    """Findings on the direction of F, and on its length."""
    findings = []
    places = {"input": "at the block's input", "output": "at its output", "readout": "where the head reads the block out"}  # fmt: skip
    for at, where in places.items():
        rows = [r for r in table if r["at"] == at and r["gradient_cosine"] is not None]
        found = [Estimate.of(block(row["block"]), row, "gradient_cosine") for row in rows]
        findings += divide(
            found,
            0,
            (
                f"F points down the loss, by the gradient {where}, in {{}}",
                f"F points up the loss, by the gradient {where}, in {{}}",
                f"F may point up or down the loss, by the gradient {where}, in {{}}",
            ),
            form="+.3f",
        )
    first = [r for r in table if r["at"] == table.rows[0]["at"] and r["ratio"] is not None]
    if not first:
        return findings
    least, most = (pick(first, key=lambda row: row["ratio"]) for pick in (min, max))
    text = (
        f"F is {least['ratio']:.2f} ({block(least['block'])}) to {most['ratio']:.2f} times "
        f"({block(most['block'])}) as long as the input that it is added to; the cosine of input and output "
        f"is {min(row['cosine'] for row in first):.2f} to {max(row['cosine'] for row in first):.2f}."
    )
    return [*findings, Finding(NEITHER, text)]


def judge_cka(table: Any, context: Context) -> list[Finding]:
    """Findings on whether features change within stages or between them."""
    values = {(row["block"], row["other"]): row["cka"] for row in table}
    stage_of = {name: i for i, stage in enumerate(context.stages) for name in stage}
    within: dict[tuple[str, str], float] = {}
    between: dict[tuple[str, str], float] = {}
    for a, b in itertools.pairwise(stage_of):
        if values[a, b] is not None:
            (within if stage_of[a] == stage_of[b] else between)[a, b] = values[a, b]
    if not within or not between:
        text = "There are no neighbors both within a stage and between stages to compare."
        return [Finding(NEITHER, text)]
    low = min(within, key=lambda pair: within[pair])
    high = max(between, key=lambda pair: between[pair])
    text = (
        f"Neighbors within a stage have a CKA of {min(within.values()):.2f} ({block('+'.join(low))}) to "
        f"{max(within.values()):.2f}, neighbors across a transition of {min(between.values()):.2f} to "
        f"{max(between.values()):.2f} ({block('+'.join(high))}). The view expects features to change most "
        "at transitions; CKA has no interval, by which that could be decided."
    )
    return [Finding(NEITHER, text)]


def judge_separation(table: Any, context: Context) -> list[Finding]:
    """Findings on whether each block separates the classes by the same factor."""
    blocks = [row for row in table if row["stage"]]
    rows = [row for row in blocks if row["log_fuzziness"] is not None]
    found = [Estimate.of(block(row["block"]), row, "log_fuzziness") for row in rows]
    findings = step_findings([found], "The logarithm of the classes' fuzziness", FOR, AGAINST)
    slope, r2 = (table.rows[0][key] for key in ("slope", "r2"))
    if slope is None or r2 is None:
        return findings
    depths = np.array([blocks.index(row) for row in rows])
    line = np.mean([e.value for e in found]) + slope * (depths - depths.mean())
    missed = [e for e, y in zip(found, line) if not e.low <= y <= e.high]
    text = f"The line through the logarithms has a slope of {slope:.2f} and R² = {r2:.2f}; "
    text += (
        f"it misses the interval of {count(missed, found, 'block')}: {join(e.show() for e in missed)}."
        if missed
        else "it crosses every block's interval: whether the factor is constant is open."
    )
    return [*findings, Finding(AGAINST if missed else NEITHER, text)]
