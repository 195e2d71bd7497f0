"""What a measurement shows: sentences with numbers, for or against the iterative view.

A verdict follows from 95% intervals alone: where an interval is on neither side of a limit as a whole,
there is none.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_unrolled.analysis.drawing import shorten
from keras_unrolled.analysis.moments import GROUPS

FOR, AGAINST, NEITHER = "for", "against", "neither"
SHOWN = 3  # examples in a sentence


@dataclass(frozen=True)
class Finding:
    """A sentence, and on which side it is.

    Attributes:
        verdict: "for", "against" or "neither".
        text: string.
    """

    verdict: str
    text: str


@dataclass(frozen=True)
class Context:
    """What the sentences need to know of the network.

    Attributes:
        gating: string.
        stages: list of lists of blocks' names.
        transitions: set of the names of blocks that change shape.
        removable: int, how many blocks can be left out.
        num_classes: optional int.
        control: optional string, the name of the second network.
    """

    gating: str
    stages: list[list[str]] = field(default_factory=list)
    transitions: frozenset[str] = frozenset()
    removable: int = 0
    num_classes: int | None = None
    control: str | None = None

    @classmethod
    def of(cls, stack: Any, control: str | None = None) -> "Context":
        """That of a `BlockStack`."""
        return cls(
            stack.blocks[-1].gating,
            stack.stages,
            frozenset(block.name for block in stack.blocks if block.changes_shape),
            len(stack.removable),
            stack.num_classes,
            control,
        )


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval.

    Attributes:
        name: string, what it is of.
        value: float.
        low: float, minus infinity where the interval is not known.
        high: float, infinity where it is not known.
    """

    name: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, name: str, row: dict[str, Any], column: str) -> "Estimate":
        """A column of a row of a table, with the row's "low" and "high"; accuracy's within 0 and 1."""
        low, high = row["low"], row["high"]
        unknown = low is None or high is None
        if column == "accuracy" and not unknown:
            low, high = max(0.0, low), min(1.0, high)
        bounds = (-math.inf, math.inf) if unknown else (low, high)
        return cls(name, row[column], *bounds)

    def show(self, form: str = ".2f", unit: str = "", scale: float = 1) -> str:
        """The name, the number and the interval, "block 1.1 0.92 (95%: 0.90 to 0.94)"."""
        numbers = [format(scale * x, form) for x in (self.value, self.low, self.high)]
        if math.isinf(self.low):
            return f"{self.name} {numbers[0]}{unit}"
        return f"{self.name} {numbers[0]}{unit} (95%: {numbers[1]} to {numbers[2]})"


def sort_out(
    estimates: Sequence[Estimate], limit: float
) -> tuple[list[Estimate], list[Estimate], list[Estimate]]:
    """Those above a limit with their whole interval, those below it, and the others.

    The first are sorted from the highest, the second from the lowest.
    """
    above = sorted((e for e in estimates if e.low > limit), key=lambda e: -e.value)
    below = sorted((e for e in estimates if e.high < limit), key=lambda e: e.value)
    return above, below, [e for e in estimates if not e.low > limit and not e.high < limit]


def join(parts: Iterable[str]) -> str:
    """Examples in a sentence, the first few."""
    parts = list(parts)
    rest = len(parts) - SHOWN
    shown = "; ".join(parts[:SHOWN])
    return shown + (f"; and {rest} more" if rest > 0 else "")


def count(some: Sequence[Any], of: Sequence[Any], noun: str) -> str:
    """ "3 of 7 blocks" """
    return f"{len(some)} of {len(of)} {noun}{'' if len(of) == 1 else 's'}"


def block(name: str) -> str:
    """What a sentence calls a block, or several in a row."""
    return ("blocks " if "+" in name else "block ") + shorten(name)


def steps(estimates: Sequence[Estimate]) -> tuple[list[str], list[str], int]:
    """How a sequence of numbers moves.

    Returns:
        Sentences on the steps down and on those up whose intervals do not overlap, and how many steps
        there are.
    """
    down, up = [], []
    for before, after in itertools.pairwise(estimates):
        text = f"{before.show()} to {after.show()}"
        if after.high < before.low:
            down.append(text)
        elif after.low > before.high:
            up.append(text)
    return down, up, max(0, len(estimates) - 1)


def divide(estimates, limit, texts, verdicts=(FOR, AGAINST, NEITHER), form=".2f"):
    """Findings on those above a limit, below it, and on neither side.

    `texts` has a sentence's beginning for each, in which {} is "3 of 7 blocks".
    """
    findings = []
    for chosen, text, verdict in zip(sort_out(estimates, limit), texts, verdicts):
        if chosen:
            start = text.format(count(chosen, estimates, "block"))
            findings.append(Finding(verdict, f"{start}: {join(e.show(form) for e in chosen)}."))
    return findings


def step_findings(sequences, what, down, up):
    """Findings on steps of several sequences of estimates; `down` and `up` are their verdicts."""
    falls: list[str] = []
    rises: list[str] = []
    total = 0
    for sequence in sequences:
        fall, rise, number = steps(sequence)
        falls, rises, total = falls + fall, rises + rise, total + number
    findings = []
    for verdict, found, verb in ((down, falls, "falls"), (up, rises, "rises")):
        if found:
            cases = f"{len(found)} of {total} steps"
            findings.append(
                Finding(
                    verdict, f"{what} {verb} by more than its intervals in {cases}: {join(found)}."
                )
            )
    rest = total - len(falls) - len(rises)
    if rest:
        text = f"In {rest} of {total} steps the intervals overlap: {what[0].lower()}{what[1:]} may do either."
        if all(math.isinf(e.low) for sequence in sequences for e in sequence):
            text = f"There are too few images for intervals ({2 * GROUPS} at least) of {what[0].lower()}{what[1:]}."
        findings.append(Finding(NEITHER, text))
    return findings


def sum_up(sides: Iterable[str]) -> str:
    """The verdict of an experiment in a word or two, from those of its sentences.

    Sentences of one case, such as with and without recalibrated batch statistics, are not independent,
    and are not counted.
    """
    found = set(sides)
    if {FOR, AGAINST} <= found:
        return "for and against"
    return FOR if FOR in found else AGAINST if AGAINST in found else NEITHER
