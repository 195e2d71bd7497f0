"""The estimation error of Greff et al. 2017, section 4.2 and figure 3."""

import numpy as np

from keras_unrolled import checks
from keras_unrolled.analysis.moments import Grouped, bounds
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.analysis.table import Table

COLUMNS = ("stage", "block", "mean", "std", "normalized", "low", "high", "network")


class EstimationError(Accumulator):
    """See `estimation_error`."""

    name = "estimation_error"

    def __init__(self, at="output", network="model"):
        checks.one_of("at", at, ("output", "mix"))
        self.at, self.network, self.needs_parts = at, network, at == "mix"

    def start(self, stack):
        self.stages = stack.stages
        self.errors = {block.name: Grouped() for block in stack.blocks}

    def update(self, trace):
        states = trace.outputs
        if self.at == "mix":
            states = {name: parts["mix"] for name, parts in trace.parts.items()}
        for stage in self.stages:
            final = states[stage[-1]]
            for name in stage:
                if states[name].shape[1:] == final.shape[1:]:
                    self.errors[name].add([states[name] - final, final])

    def result(self):
        rows = []
        for number, stage in enumerate(self.stages, start=1):
            for name in stage:
                if not self.errors[name].seen:
                    continue
                moments = self.errors[name].total
                row = {"stage": number, "block": name, "mean": float(moments.mean[0].mean())}
                row["std"] = float(np.sqrt(moments.covariance[0, 0]).mean())
                value, low, high = bounds(*self.errors[name].interval(_normalize))
                rows.append({**row, "normalized": value, "low": low, "high": high})
        return Table([{**row, "network": self.network} for row in rows], COLUMNS)


def _normalize(moments):
    spreads = np.sqrt(np.maximum(np.diagonal(moments.covariance), 0))  # (..., 2)
    error, final = spreads.reshape(-1, 2).mean(0)
    return error / final if final else np.nan


def estimation_error(model, images, *, at="output", control=None, progress=None):
    """How far each block's output is from the last one's of its stage (Greff et al. 2017, figure 3).

    With A the output of the stage's last block, the mean and the standard deviation of a_k - A over
    the images are taken at each unit and then averaged over height, width and channels. As A is the
    last output, the raw error falls to 0 by construction, in any network: see `normalized`, and give
    a plain network as control.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them; words for a language model.
        at: "output", after the last ReLU of a block, or "mix", before it. The paper does not say.
        control: optional second network, such as a plain one, for the same images.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage"; "block"; "mean"; "std"; "normalized", the std as a part of that
        of A; "low" and "high", the 95% interval of "normalized" over images; "network", "model" or
        "control".

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.estimation_error(model, images)
        >>> table.where(block="stage1_block2")["std"]  # the last block of its stage
        [0.0]
    """
    stack = as_stack(model)
    found = observe(stack, images, [EstimationError(at)], progress=progress)["estimation_error"]
    if control is None:
        return found
    other = [EstimationError(at, "control")]
    return Table([*found, *observe(control, images, other, progress=progress)["estimation_error"]])
