"""All measurements of a network: observed ones in one pass, schedules in one tree."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_unrolled import analysis, checks
from keras_unrolled.analysis import reordering
from keras_unrolled.analysis.cka import FEWEST
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.estimation import EstimationError
from keras_unrolled.analysis.gate_stats import BY, GateStats
from keras_unrolled.analysis.geometry import Geometry
from keras_unrolled.analysis.lesion import plan_lesion
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.optimal_gate import OptimalGate
from keras_unrolled.analysis.planning import run_plans
from keras_unrolled.analysis.residual import ResidualMean
from keras_unrolled.analysis.separation import Separation
from keras_unrolled.analysis.stack import BlockStack
from keras_unrolled.analysis.table import Table
from keras_unrolled.layers.mixing import GATINGS
from keras_unrolled.reporting.inputs import Inputs

PLANS: dict[str, Callable[[BlockStack], Any]] = {
    "lesion": plan_lesion,
    "shuffle": reordering.plan_shuffle,
    "repeat": reordering.plan_repeat,
    "parallel": reordering.plan_parallel,
    "layer_dropout_curve": reordering.plan_layer_dropout_curve,
}
OF_WORDS = ("estimation_error", "residual_mean", "gate_stats", "optimal_gate", "geometry")
OBSERVED = (*OF_WORDS, "separation")
# In the order of the report.
MEASUREMENTS = (
    *("estimation_error", "residual_mean", *PLANS, "gate_stats", "optimal_gate", "readout"),
    *("geometry", "cka", "separation"),
)


@dataclass
class Measured:
    """What was measured.

    Attributes:
        tables: dict from a CSV's name without its suffix to its `Table`.
        skipped: dict from a measurement's name to why it was not made.
        seconds: dict from what was done to how long it took.
        recalibrated: bool, whether schedules were also scored with statistics of their own.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    recalibrated: bool = False


def measure(
    stack: BlockStack,
    inputs: Inputs,
    *,
    only: Sequence[str] | None = None,
    control: BlockStack | None = None,
    progress: bool = False,
) -> Measured:
    """Makes measurements of a network.

    Args:
        stack: a `BlockStack`.
        inputs: `Inputs`; with `calibration`, schedules are also scored with recalibrated batch
            statistics, and with `train` readouts also by probes.
        only: optional list of names of `MEASUREMENTS`; the default is all that the network and the
            data allow.
        control: optional stack of a second network for the same images: its estimation error, and
            CKA with it.
        progress: bool, whether progress bars are shown on standard error.

    Returns:
        `Measured`.

    Raises:
        InputError: for a name that is no measurement, and for one in `only` that cannot be made.
    """
    for name in only or ():
        checks.one_of("only", name, MEASUREMENTS)
    result, chosen = Measured(), []
    for name in MEASUREMENTS if only is None else dict.fromkeys(only):
        reason = why_not(name, stack, inputs)
        if reason is None:
            chosen.append(name)
        elif only is not None:
            raise checks.InputError(
                f"Expected measurements that this network and these data allow. Received: {name}; "
                f"{reason}. Leave it out."
            )
        else:
            result.skipped[name] = reason
    steps: list[tuple[str, Any]] = [
        ("observing blocks", lambda bar: _observe(stack, inputs, chosen, bar)),
        ("observing the control", lambda bar: _observe_control(control, inputs, chosen, bar)),
        ("other schedules", lambda bar: _run_schedules(stack, inputs, chosen, bar, result)),
        ("readout", lambda bar: _read_out(stack, inputs, chosen, bar)),
        ("CKA", lambda bar: _align(stack, control, inputs, chosen, bar)),
    ]
    for step, run in steps:
        began = time.perf_counter()
        for name, table in run(step if progress else None).items():
            old = result.tables.get(name)
            result.tables[name] = table if old is None else Table([*old, *table])
        if (seconds := time.perf_counter() - began) > 0.01:
            result.seconds[step] = round(seconds, 1)
    return result


def why_not(name: str, stack: BlockStack, inputs: Inputs) -> str | None:
    """Why a measurement cannot be made, or None."""
    rules = [GATINGS[block.gating] for block in stack.blocks]
    moving = max(map(len, stack.movable))
    needs_moving = {"shuffle": 2, "parallel": 2, "repeat": 1}
    if stack.head is None and name not in OF_WORDS:
        return (
            "its blocks lead to no class scores: only the gated layers of a language model are run"
        )
    if name in ("readout", "separation") and inputs.labels is None:
        return "it needs labels, and the pictures have none that the network knows"
    counts = np.bincount(inputs.labels) if inputs.labels is not None else np.zeros(0)
    if name == "separation" and (counts >= 2).sum() < 2:
        return "it needs two classes with two images each"
    if name == "cka" and len(inputs) < FEWEST:
        return f"it needs {FEWEST} images"
    if name == "optimal_gate" and not any(rule.free for rule in rules):
        return "the network has no free gates"
    if name in ("residual_mean", "geometry") and not any(rule.carries for rule in rules):
        return "plain blocks have no shortcut, to which they would add something"
    if name == "lesion" and not stack.removable:
        return "none of its blocks can be left out"
    if name == "layer_dropout_curve" and len(stack.removable) < 2:
        return "fewer than two of its blocks can be left out"
    if moving < needs_moving.get(name, 0):
        return "no stage has blocks of one shape that can change places"
    return None


def _observe(stack, inputs, chosen, bar):
    """The tables of all observed measurements, in one pass."""
    has_gradients = inputs.labels is not None and stack.head is not None
    places = ("input", "readout") if has_gradients else (None,)
    makers: dict[str, list[Any]] = {
        "estimation_error": [EstimationError],
        "residual_mean": [ResidualMean],
        "gate_stats": [GateStats],
        "optimal_gate": [OptimalGate],
        "geometry": [functools.partial(Geometry, at, f"geometry {at}") for at in places],
        "separation": [Separation],
    }
    accumulators: list[Accumulator] = [
        make() for name in OBSERVED if name in chosen for make in makers[name]
    ]
    if not accumulators:
        return {}
    data = (inputs.values, inputs.labels)
    gradients = places if "geometry" in chosen and has_gradients else None
    tables = observe(stack, data, accumulators, gradients=gradients, progress=bar)
    if "geometry" in chosen:
        # The last stage again, with the gradient where the head reads its blocks out.
        first, *others = [tables.pop(f"geometry {at}") for at in places]
        last = [r for table in others for r in table if r["gradient_cosine"] is not None]
        tables["geometry"] = Table([*first, *last], first.columns)
    for gates in (a for a in accumulators if isinstance(a, GateStats)):
        others = {f"gate_stats_{by}": gates.table(by) for by in BY if by != "block"}
        tables |= {name: table for name, table in others.items() if len(table)}
    return tables


def _observe_control(control, inputs, chosen, bar):
    if control is None or "estimation_error" not in chosen:
        return {}
    return observe(control, inputs.values, [EstimationError(network="control")], progress=bar)


def _run_schedules(stack, inputs, chosen, bar, result):
    """The tables of all measurements by schedules, in one tree."""
    plans = [make(stack) for name, make in PLANS.items() if name in chosen]
    if not plans:
        return {}
    runner = Runner(stack)
    result.recalibrated = inputs.calibration is not None and any(
        runner.has_statistics(piece) for piece in (stack.stem, *stack.blocks, stack.head)
    )
    return run_plans(
        stack,
        (inputs.values, inputs.labels),
        plans,
        recalibrate=inputs.calibration if result.recalibrated else None,
        progress=bar,
    )


def _read_out(stack, inputs, chosen, bar):
    if "readout" not in chosen:
        return {}
    data = (inputs.values, inputs.labels)
    return {"readout": analysis.readout(stack, *data, train=inputs.train, progress=bar)}


def _align(stack, control, inputs, chosen, bar):
    if "cka" not in chosen:
        return {}
    tables = {"cka": analysis.cka(stack, inputs.values, progress=bar)}
    if control is not None:
        tables["cka_control"] = analysis.cka(stack, inputs.values, other=control, progress=bar)
    return tables
