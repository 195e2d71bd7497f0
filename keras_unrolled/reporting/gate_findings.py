"""What gates show: how far they open, and next to optimal ones."""

from typing import Any

import numpy as np

from keras_unrolled.reporting.verdicts import (
    AGAINST,
    NEITHER,
    Context,
    Estimate,
    Finding,
    block,
    count,
    join,
    sort_out,
)

GATES = {"transform": "T", "carry": "C"}


def judge_gate_stats(table: Any, context: Context) -> list[Finding]:
    """Findings on how much of the old estimate the gates keep, and what they depend on."""
    free = [row for row in table if row["kind"] == "free"]
    carried = [
        Estimate.of(block(row["block"]), row, "mean")
        for row in table
        if row["gate"] == "carry"
        and row["kind"] in ("free", "coupled")
        and row["block"] not in context.transitions
    ]
    if not free:
        values = {row["gate"]: row["mean"] for row in table}
        text = "The gates are fixed: T = {transform:g} and C = {carry:g}.".format(**values)
        return [Finding(NEITHER, text)]
    findings = []
    if carried:
        above, below, between = map(len, sort_out(carried, 0.5))
        text = (
            f"In blocks that keep the shape, C passes on more than half of the old estimate in {above}, less "
            f"in {below} and about half in {between}. That is on neither side: training starts from gates "
            "that pass on most of it (a bias of −1 gives T = 0.27 and, if coupled, C = 0.73)."
        )
        findings.append(Finding(NEITHER, text))
    for gate, letter in GATES.items():
        rows = [row for row in free if row["gate"] == gate]
        if not rows:
            continue
        shut, opened = (np.mean([row[key] for row in rows]) for key in ("shut", "open"))
        between = [row["between_images"] for row in rows]
        means = [Estimate.of(block(row["block"]), row, "mean") for row in rows]
        least, most = min(means, key=lambda e: e.value), max(means, key=lambda e: e.value)
        where = f"least in {least.show()} and most in {most.show()}"
        where = where if len(means) > 1 else f"in {least.show()}"
        text = (
            f"{letter} opens {where}. On average "
            f"{100 * shut:.0f}% of its values are below 0.05 and {100 * opened:.0f}% above 0.95; between images its "
            f"mean varies by {min(between):.3f} to {max(between):.3f} (standard deviation)."
        )
        findings.append(Finding(NEITHER, text))
    return findings


def judge_optimal_gate(table: Any, context: Context) -> list[Finding]:
    """Findings on trained gates next to optimal ones, without those that are tautologies."""
    findings = []
    for gate, letter in GATES.items():
        judged = [r for r in table if r["gate"] == gate and not r["tautology"]]
        rows = [r for r in judged if r["optimal"] is not None]
        optimal = [Estimate.of(block(row["block"]), row, "optimal") for row in rows]
        pairs = list(zip(rows, optimal))
        equal = [
            p for p in pairs if np.isfinite(p[1].low) and p[1].low <= p[0]["trained"] <= p[1].high
        ]
        other = [p for p in pairs if not p[1].low <= p[0]["trained"] <= p[1].high]
        for verdict, chosen, word in ((NEITHER, equal, "inside"), (AGAINST, other, "outside")):
            if chosen:
                shown = join(f"{e.show()}, trained {row['trained']:.2f}" for row, e in chosen)
                text = (
                    f"The trained {letter} is {word} the interval of the optimal one in "
                    f"{count(chosen, pairs, 'block')}: {shown}."
                )
                findings.append(Finding(verdict, text))
        known = [row["correlation"] for row in rows if row["correlation"] is not None]
        if known:
            back = sum(row["later"] < 0 for row in rows)
            text = (
                f"Over the units, trained and optimal {letter} correlate by {min(known):+.2f} to "
                f"{max(known):+.2f}. The later blocks' part of the optimal {letter} is negative in {back} of "
                f"{len(rows)} blocks: there they take back some of what the block has added."
            )
            findings.append(Finding(NEITHER, text))
    if not findings:
        text = (
            "No gate can be judged: of a stage's last block the optimal one is a tautology, and of estimates "
            "that do not differ there is none."
        )
        findings.append(Finding(NEITHER, text))
    return findings
