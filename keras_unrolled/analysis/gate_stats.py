"""How open the gates are: by block, channel, class and position."""

import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.analysis.moments import Grouped, Moments, add_up, bounds
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.analysis.table import Table
from keras_unrolled.layers.mixing import GATINGS

BY = ("block", "channel", "class", "position", "histogram")
BINS = 20
SHUT, OPEN = 0.05, 0.95  # below and above which a gate counts as saturated


class GateStats(Accumulator):
    """See `gate_stats`; `table` gives the other tables after the pass."""

    name = "gate_stats"
    needs_parts = True

    def start(self, stack):
        self.stages = {block.name: block.stage for block in stack.blocks}
        self.rules = {block.name: GATINGS[block.gating] for block in stack.blocks}
        self.classes = stack.num_classes
        self.found = {}

    def update(self, trace):
        for name, parts in trace.parts.items():
            for gate in ("transform", "carry"):
                value = parts[f"{gate}_gate"]
                state = self.found.setdefault((name, gate), _Gate(self.classes))
                if len(value.shape):
                    state.add(value, trace.labels)
                else:
                    state.fixed = float(value)

    def result(self):
        return self.table("block")

    def table(self, by):
        """The table of one kind, see `gate_stats`."""
        checks.one_of("by", by, BY)
        rows = []
        for (name, gate), state in self.found.items():
            start = {"stage": self.stages[name], "block": name, "gate": gate}
            kind = getattr(self.rules[name], gate)
            if by == "block":
                rows.append({**start, "kind": kind, **state.summary()})
            elif state.fixed is None:
                rows += [{**start, **row} for row in getattr(state, f"by_{by}")()]
        return Table(rows, ("stage", "block", "gate", *_COLUMNS[by]))


_COLUMNS = {
    "block": ("kind", "mean", "std", "between_images", "shut", "open", "low", "high"),
    "channel": ("channel", "mean", "std"),
    "class": ("class", "n", "mean"),
    "position": ("row", "column", "mean"),
    "histogram": ("low", "high", "share"),
}


class _Gate:
    """What is kept of one gate."""

    def __init__(self, classes):
        self.fixed = None
        self.images = Grouped()  # of each image's mean
        self.units = Moments()
        self.bins = np.zeros(BINS)
        self.saturated = np.zeros(2)
        self.by_label = np.zeros((2, classes or 0))

    def add(self, value, labels):
        value = ops.cast(value, "float32")
        axes = tuple(range(1, len(value.shape)))
        means = np.asarray(ops.convert_to_numpy(ops.mean(value, axis=axes)), "float64")
        self.images.add([means, means**2], add_up)
        self.units = self.units.merge(Moments.of([value]))
        flat = ops.convert_to_numpy(value).reshape(-1)
        self.bins += np.histogram(flat, BINS, (0, 1))[0]
        self.saturated += [np.mean(flat < SHUT) * len(value), np.mean(flat > OPEN) * len(value)]
        if labels is not None and self.by_label.size:
            count = self.by_label.shape[1]
            self.by_label += [
                np.bincount(labels, minlength=count),
                np.bincount(labels, means, minlength=count),
            ]

    def summary(self):
        if self.fixed is not None:
            share = [float(self.fixed < SHUT), float(self.fixed > OPEN)]
            row = {"mean": self.fixed, "std": 0.0, "between_images": 0.0}
            return row | {"shut": share[0], "open": share[1], "low": self.fixed, "high": self.fixed}
        mean, low, high = bounds(*self.images.interval(lambda s: s.mean[0]))
        first, second = self.images.total.mean
        square = self.units.covariance[0, 0] + (self.units.mean[0] - mean) ** 2
        shut, opened = self.saturated / self.units.n
        row = {
            "mean": mean,
            "std": np.sqrt(square.mean()),
            "between_images": np.sqrt(max(0.0, second - first**2)),
        }
        return row | {"shut": shut, "open": opened, "low": low, "high": high}

    def by_channel(self):
        means, variances = self.units.mean[0], self.units.covariance[0, 0]
        axes = tuple(range(means.ndim - 1))
        mean = means.mean(axes)
        spread = np.sqrt((variances + (means - mean) ** 2).mean(axes))
        return [{"channel": i, "mean": m, "std": s} for i, (m, s) in enumerate(zip(mean, spread))]

    def by_class(self):
        counts, sums = self.by_label
        return [
            {"class": i, "n": int(n), "mean": s / n}
            for i, (n, s) in enumerate(zip(counts, sums))
            if n
        ]

    def by_position(self):
        means = self.units.mean[0]
        if means.ndim != 3:
            return []
        means = means.mean(-1)
        return [
            {"row": int(i), "column": int(j), "mean": means[i, j]}
            for i, j in np.ndindex(means.shape)
        ]

    def by_histogram(self):
        edges = np.linspace(0, 1, BINS + 1)
        shares = self.bins / self.bins.sum()
        return [
            {"low": a, "high": b, "share": share} for a, b, share in zip(edges, edges[1:], shares)
        ]


def gate_stats(model, images, labels=None, *, by="block", progress=None):
    """How open the transform and carry gates of a network are.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them; words for a language model.
        labels: optional int array `(n,)`, for `by="class"`.
        by: "block", "channel", "class", "position" (height and width) or "histogram".
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage", "block", "gate" ("transform" or "carry") and

        - by block: "kind" ("free", "coupled", "one" or "zero"), "mean", "std" over images and units,
          "between_images", the std of the images' means, "shut" and "open", the shares below 0.05 and
          above 0.95, "low" and "high", the 95% interval of the mean over images;
        - by channel: "channel", "mean", "std"; by class: "class", "n", "mean"; by position: "row",
          "column", "mean"; as a histogram: "low" and "high", of a bin, "share". Without rows for gates
          that are fixed.

    Raises:
        InputError: for another `by`, and for missing labels where they are needed.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.gate_stats(model, images)
        >>> table.where(gate="carry")["kind"]
        ['coupled', 'coupled', 'coupled']
    """
    checks.one_of("by", by, BY)
    accumulator = GateStats()
    accumulator.needs_labels = by == "class"
    observe(as_stack(model), (images, labels), [accumulator], progress=progress)
    return accumulator.table(by)
