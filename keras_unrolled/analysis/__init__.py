"""Tools that look inside a network: whether its blocks refine an estimate of the same features.

Two primitives carry all measurements: `run_schedules` runs the blocks of a network in other orders,
and `observe` looks at what they do in one pass over data.

- `stack`: a network as stem, blocks and head; `pieces` the parts of one; `cut`, `graph` and `segments`
  find them in networks of other libraries.
- `schedule`: the blocks in another order; `running` scores many of them, `planning` so that what they
  share is computed once, `compiled` on each backend.
- `observing`: one pass over data for any number of accumulators, `samples` the data, `moments` their
  statistics, `table` what a measurement returns; a new measurement starts here.
- `estimation`, `residual`, `gate_stats`, `optimal_gate`, `geometry`, `cka`, `separation`, `readout` with
  `probe`: measurements that observe. `lesion`, `reordering`, `pruning`: those that run schedules.
- `gates`: the openings of gates as arrays.
- `figures`, `block_figures`, `drawing`: their figures; `plots` the curves and the confusion of fine-tuning.
"""

from keras_unrolled.analysis.cka import cka
from keras_unrolled.analysis.estimation import estimation_error
from keras_unrolled.analysis.gate_stats import gate_stats
from keras_unrolled.analysis.gates import gate_openings
from keras_unrolled.analysis.geometry import geometry
from keras_unrolled.analysis.lesion import lesion
from keras_unrolled.analysis.observing import Accumulator, Trace, observe
from keras_unrolled.analysis.optimal_gate import optimal_gate
from keras_unrolled.analysis.pruning import prune_depth
from keras_unrolled.analysis.readout import readout
from keras_unrolled.analysis.reordering import layer_dropout_curve, parallel, repeat, shuffle
from keras_unrolled.analysis.residual import residual_mean
from keras_unrolled.analysis.running import run_schedules
from keras_unrolled.analysis.schedule import Schedule, Step
from keras_unrolled.analysis.separation import separation
from keras_unrolled.analysis.stack import BlockStack, as_stack
from keras_unrolled.analysis.table import Table

__all__ = [
    "Accumulator",
    "BlockStack",
    "Schedule",
    "Step",
    "Table",
    "Trace",
    "as_stack",
    "cka",
    "estimation_error",
    "gate_openings",
    "gate_stats",
    "geometry",
    "layer_dropout_curve",
    "lesion",
    "observe",
    "optimal_gate",
    "parallel",
    "prune_depth",
    "readout",
    "repeat",
    "residual_mean",
    "run_schedules",
    "separation",
    "shuffle",
]
