"""Claims about what the blocks of a network do, and what our measurements say of them."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOLDS, FAILS, OPEN = "holds", "fails", "inconclusive"
SMALL = 0.02  # of accuracy: what a change that does not matter stays below
Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Claim:
    """A claim about what blocks do.

    Attributes:
        name: string, short.
        text: string, the claim and when it is said to hold here.
        source: string, who made it and on what.
        measure: function from the tables of a network to a text with the measured numbers and one of
            HOLDS, FAILS, OPEN; None where the network has no such measurement.
    """

    name: str
    text: str
    source: str
    measure: Callable[[Tables], tuple[str, str] | None]


def _errors(tables):
    rows = [r for r in tables.get("estimation_error", ()) if r["network"] == "model"]
    # The last block of a stage has no error, in any network.
    steps = [
        (a, b)
        for a, b in itertools.pairwise(rows)
        if a["stage"] == b["stage"] and b["normalized"] > 0
    ]
    if not steps:
        return None
    falling = sum(b["high"] < a["low"] for a, b in steps)
    rising = sum(b["low"] > a["high"] for a, b in steps)
    by = [a["normalized"] - b["normalized"] for a, b in steps]
    text = f"{falling} of {len(steps)} steps fall, by {min(by):.2f} to {max(by):.2f}"
    return text, FAILS if rising else HOLDS if falling == len(steps) else OPEN


def _guess(tables):
    """Blocks whose error is above that of a constant."""
    rows = [r for r in tables.get("estimation_error", ()) if r["network"] == "model"]
    firsts = [r for r in rows if r["block"].endswith("block1") and r["normalized"] > 0]
    if not firsts:
        return None
    text = ", ".join(f"{r['normalized']:.2f}" for r in firsts)
    above = sum(r["low"] > 1 for r in firsts)
    below = sum(r["high"] < 1 for r in firsts)
    return text, FAILS if above else HOLDS if below == len(firsts) else OPEN


def _means(tables):
    rows = [r for r in tables.get("residual_mean", ()) if r["of"] == "residual"]
    if not rows:
        return None
    shares = [r["share"] for r in rows]
    text = f"{min(shares):.0%} to {max(shares):.0%} of F's power"
    wrong = sum(r["low"] > 0.01 for r in rows)
    return text, FAILS if wrong else HOLDS


def _changes(rows, kind):
    """The range of the changes of accuracy, and whether they all stay small."""
    if not rows:
        return None
    worst = min(rows, key=lambda r: r["difference"])
    least = max(rows, key=lambda r: r["difference"])
    text = f"{100 * worst['difference']:+.1f} to {100 * least['difference']:+.1f} points{kind}"
    whole = worst["accuracy"] - worst["difference"]
    if any(r["high"] < whole - SMALL for r in rows):
        return text, FAILS
    return text, HOLDS if all(r["low"] > whole - SMALL for r in rows) else OPEN


def _lesions(recalibrated):
    def measure(tables):
        rows = [
            r
            for r in tables.get("lesion", ())
            if r["block"] != "none" and r["how"] == "identity" and r["recalibrated"] is recalibrated
        ]
        # Transition blocks change the level of representation, where the claim is not made.
        rows = [r for r in rows if not (r["block"].endswith("block1") and r["block"][5] != "1")]
        return _changes(rows, "")

    return measure


def _swaps(recalibrated):
    def measure(tables):
        rows = [
            r
            for r in tables.get("shuffle", ())
            if r["kind"] == "swap" and r["discordant"] == 1 and r["recalibrated"] is recalibrated
        ]
        return _changes(rows, "")

    return measure


def _repeats(tables):
    last = [r for r in tables.get("repeat", ()) if r["times"] == 2 and r["recalibrated"] is False]
    ends: dict[str, Any] = {}
    for row in last:
        ends[row["block"].partition("_")[0]] = row  # the last of each stage stays
    return _changes(list(ends.values()), "")


def _descents(at):
    def measure(tables):
        rows = [
            r
            for r in tables.get("geometry", ())
            if r["at"] == at and r["gradient_cosine"] is not None
        ]
        if not rows:
            return None
        cosines = [r["gradient_cosine"] for r in rows]
        text = f"cosine {min(cosines):+.3f} to {max(cosines):+.3f}"
        if all(r["low"] > 0 for r in rows):
            return text, HOLDS
        return text, FAILS if any(r["high"] < 0 for r in rows) else OPEN

    return measure


def _readouts(tables):
    rows = [r for r in tables.get("readout", ()) if r["readout"] == "head"]
    if len(rows) < 2:
        return None
    text = " → ".join(f"{r['accuracy']:.0%}" for r in rows)
    rising = all(a["high"] < b["low"] for a, b in itertools.pairwise(rows))
    return text, HOLDS if rising else OPEN


def _gates(tables):
    rows = [r for r in tables.get("optimal_gate", ()) if not r["tautology"] and r["correlation"]]
    if not rows:
        return None
    apart = max(abs(r["trained"] - r["optimal"]) for r in rows)
    found = [r["correlation"] for r in rows]
    text = f"correlation {min(found):.2f} to {max(found):.2f}, means up to {apart:.2f} apart"
    return text, HOLDS if min(found) > 0.7 else FAILS if max(found) < 0.3 else OPEN


def _laws(tables):
    rows = [r for r in tables.get("separation", ()) if r["r2"] is not None]
    if not rows:
        return None
    row = rows[-1]
    text = f"factor {math.exp(row['slope']):.2f} a block, R² {row['r2']:.2f}"
    return text, HOLDS if row["r2"] > 0.9 else FAILS if row["r2"] < 0.7 else OPEN


CLAIMS = (
    Claim(
        "error falls",
        "The estimation error falls from block to block of a stage. Holds if the whole interval "
        "of every step but the last, which ends at 0 in any network, is below that of the one before.",
        "Greff et al. 2017, figure 3: ResNet-50, stages 1 to 3",
        _errors,
    ),
    Claim(
        "first estimate",
        "The first block of a stage estimates what the stage ends with better than a constant does: "
        "its normalized error is below 1. Given for each stage.",
        "Greff et al. 2017, section 3, in words: all blocks estimate the same features",
        _guess,
    ),
    Claim(
        "E[F] = 0",
        "Blocks leave the mean of the features alone. Holds if the mean has below 1% of F's power in "
        "every block.",
        "Greff et al. 2017, equations 6 to 9: derived",
        _means,
    ),
    Claim(
        "lesions",
        "A block that keeps the shape can be left out: accuracy falls by less than two points.",
        "Veit et al. 2016: ResNet-110, no noticeable change",
        _lesions(False),
    ),
    Claim(
        "lesions, recalibrated",
        "The same with batch statistics of its own.",
        "ours",
        _lesions(True),
    ),
    Claim(
        "swaps",
        "Neighbors can change places: accuracy falls by less than two points.",
        "Veit et al. 2016: error grows smoothly with the distance from the order",
        _swaps(False),
    ),
    Claim(
        "swaps, recalibrated", "The same with batch statistics of its own.", "ours", _swaps(True)
    ),
    Claim(
        "repeats",
        "The last block of a stage can be run twice: accuracy falls by less than two points.",
        "Jastrzebski et al. 2018: extra unrolling of the last block",
        _repeats,
    ),
    Claim(
        "descent",
        "Blocks move down the loss: the cosine of F with the negative gradient at the block's input is "
        "above 0 in every block that keeps the shape.",
        "Jastrzebski et al. 2018, figure: cosine with the gradient",
        _descents("input"),
    ),
    Claim(
        "descent of the readout",
        "The same with the gradient at the block's output, as the head reads it out directly, in every "
        "block of the last stage.",
        "ours",
        _descents("readout"),
    ),
    Claim(
        "readout",
        "The head, applied after each block of the last stage, gets better from block to block.",
        "Jastrzebski et al. 2018",
        _readouts,
    ),
    Claim(
        "optimal gates",
        "Trained gates are near the mix of the old and the new estimate with the least error. Over the "
        "units, without the last block of a stage, where that is a tautology; holds from a correlation "
        "of 0.7 in every block.",
        "Greff et al. 2017, equations 10 and 11: derived",
        _gates,
    ),
    Claim(
        "separation",
        "Each block separates the classes by the same factor. Holds from R² above 0.9.",
        "He & Su 2022",
        _laws,
    ),
)
