"""Every measurement of a small network: see test_backends.py.

python -m tests.analysis.backend_worker OUT.json
"""

import json
import sys

import numpy as np

from keras_unrolled import analysis
from tests.analysis.conftest import CLASSES, make


def measure():
    """The rows of every table, by measurement."""
    rng = np.random.default_rng(7)
    images = rng.normal(size=(24, 8, 8, 3)).astype("float32")
    labels = rng.integers(0, CLASSES, 24)
    found = {}
    for gating in ("full", "residual"):
        model = make(gating)
        stack = analysis.as_stack(model)  # which keeps what is compiled
        tables = {
            "lesion": analysis.lesion(stack, images, labels, recalibrate=True),
            "shuffle": analysis.shuffle(stack, images, labels),
            "repeat": analysis.repeat(stack, images, labels, times=(2,)),
            "parallel": analysis.parallel(stack, images, labels),
            "estimation_error": analysis.estimation_error(stack, images, at="mix"),
            "residual_mean": analysis.residual_mean(stack, images),
            "gate_stats": analysis.gate_stats(stack, images),
            "optimal_gate": analysis.optimal_gate(stack, images),
            "readout": analysis.readout(stack, images, labels, train=(images, labels)),
            "input": analysis.geometry(stack, images, labels),
            "output": analysis.geometry(stack, images, labels, at="output"),
            "last": analysis.geometry(stack, images, labels, at="readout"),
            "cka": analysis.cka(stack, images),
        }
        found |= {f"{gating} {name}": table.rows for name, table in tables.items()}
        pruned = analysis.prune_depth(model, 4, images)
        scores = analysis.lesion(pruned, images, labels, blocks=[])
        found[f"{gating} pruned"] = scores.rows
    return found


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(measure(), file)
