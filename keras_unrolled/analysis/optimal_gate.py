"""The gates that mix two estimates best: equations 10 and 11 of Greff et al. 2017."""

import numpy as np
from keras import ops

from keras_unrolled.analysis.moments import Grouped, bounds, thin
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.table import Table
from keras_unrolled.layers.mixing import GATINGS

COLUMNS = (
    "stage", "block", "gate", "trained", "optimal", "low", "high", "own", "later", "correlation",
    "own_correlation", "tautology",
)  # fmt: skip
H, X, Y, A = range(4)  # the places of the variables in the moments
TINY = 1e-12


class OptimalGate(Accumulator):
    """See `optimal_gate`."""

    name = "optimal_gate"
    needs_parts = True

    def start(self, stack):
        self.stages = stack.stages
        self.gatings = {block.name: block.gating for block in stack.blocks}
        self.found, self.openings = {}, {}

    def update(self, trace):
        for stage in self.stages:
            final = trace.parts[stage[-1]]["output"]
            for name in stage:
                parts = trace.parts[name]
                free = GATINGS[self.gatings[name]].free
                if not free or parts["output"].shape[1:] != final.shape[1:]:
                    continue
                variables = [parts["transform"], parts["shortcut"], parts["output"], final]
                self.found.setdefault(name, Grouped()).add(variables)
                for gate in free:
                    (gates,) = thin([parts[f"{gate}_gate"]], len(variables))
                    opening = ops.convert_to_numpy(ops.sum(gates, axis=0))
                    old = self.openings.get((name, gate), 0.0)
                    self.openings[name, gate] = old + opening.astype("float64")

    def result(self):
        rows = []
        for number, stage in enumerate(self.stages, start=1):
            for name in (name for name in stage if name in self.found):
                grouped, last = self.found[name], name == stage[-1]
                for gate in GATINGS[self.gatings[name]].free:
                    trained = (self.openings[name, gate] / grouped.seen).reshape(-1)
                    rows.append({"stage": number, "block": name, "gate": gate})
                    rows[-1] |= _compare(grouped, trained, gate, self.gatings[name], last)
        return Table(rows, COLUMNS)


def _compare(grouped, trained, gate, gating, last):
    """The trained gate of a block, array `(units,)`, next to the optimal one."""
    moments = grouped.total
    solve = _solve_coupled if GATINGS[gating].carry == "coupled" else _solve_free
    optimal, own = solve(moments, gate, A), solve(moments, gate, Y)
    use = np.isfinite(optimal)
    if not use.any():  # no unit's two estimates vary apart, as of a single image
        row = {**dict.fromkeys(COLUMNS[3:]), "trained": float(trained.mean())}
        return {**row, "tautology": last}

    def pooled(m):
        values = solve(m, gate, A)
        return np.average(values[use], weights=_weights(m, gate)[use])

    value, low, high = bounds(*grouped.interval(pooled))
    weights = _weights(moments, gate)[use]
    row = {"trained": np.average(trained[use], weights=weights), "optimal": value}
    own_mean = np.average(own[use], weights=weights)
    row |= {"low": low, "high": high, "own": own_mean, "later": value - own_mean}
    row |= {"correlation": _correlate(trained[use], optimal[use])}
    return {**row, "own_correlation": _correlate(trained[use], own[use]), "tautology": last}


def _flat(moments):
    """The covariances of H, x, y and A at each unit, `(4, 4, units)`."""
    return moments.covariance.reshape(4, 4, -1)


def _weights(moments, gate):
    """How much the gate matters at each unit: the variance of H - x."""
    c = _flat(moments)
    return np.maximum(c[H, H] - 2 * c[H, X] + c[X, X], TINY)


def _solve_coupled(moments, gate, target):
    """The slope of target - x on H - x, which for A is (Var e_old - Cov) / Var(e_old - e_new)."""
    c = _flat(moments)
    apart = c[H, H] - 2 * c[H, X] + c[X, X]
    slope = c[target, H] - c[target, X] - c[X, H] + c[X, X]
    return np.where(apart > TINY, slope / np.maximum(apart, TINY), np.nan)


def _solve_free(moments, gate, target):
    """The coefficient of H, or of x, in the regression of the target on what is free."""
    c = _flat(moments)
    determinant = c[H, H] * c[X, X] - c[H, X] ** 2
    ours, other = (H, X) if gate == "transform" else (X, H)
    top = c[target, ours] * c[other, other] - c[target, other] * c[H, X]
    good = determinant > 1e-6 * np.maximum(c[H, H] * c[X, X], TINY)
    return np.where(good, top / np.where(good, determinant, 1), np.nan)


def _correlate(a, b):
    if len(a) < 3 or not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])


def optimal_gate(model, images, *, progress=None):
    """Trained gates next to those that would estimate the stage's features best.

    For a coupled block the mix of H and x with the least error against A, the output of the stage's
    last block, is T* = (Var e_old - Cov) / Var(e_old - e_new), with the errors e of x and of H (Greff
    et al. 2017, equations 10 and 11). That is the slope of A - x on H - x over the images. It splits
    into the slope of this block's own step y - x, which any gate has, and that of the later blocks'
    steps A - y, which alone says whether they agree. For a stage's last block y is A, and T* is a
    tautology. For the other gatings T* and C* are the coefficients of the regression of A on H and x.

    Args:
        model: what `as_stack` takes; blocks without free gates give no rows.
        images: as `Samples` takes them; some hundreds at least.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage"; "block"; "gate"; "trained", the mean of the gate; "optimal";
        "low" and "high", its 95% interval over images; "own" and "later", which add up to "optimal"
        (means over units, weighted by the variance of H - x); "correlation" over the units between the
        trained gate and the optimal one, and "own_correlation" with the block's own slope;
        "tautology", true for the last block of a stage. Where no unit's two estimates vary apart, as of
        a single image, there is no optimal gate: None, and "trained" is the plain mean.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:30]
        >>> ku.analysis.optimal_gate(model, images)["tautology"]  # one block a stage
        [True, True, True]
    """
    return observe(model, images, [OptimalGate()], progress=progress)["optimal_gate"]
