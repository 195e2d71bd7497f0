"""Whether blocks change their features on average: equation 9 of Greff et al. 2017."""

import numpy as np

from keras_unrolled.analysis.moments import Grouped, bounds
from keras_unrolled.analysis.observing import Accumulator, observe
from keras_unrolled.analysis.table import Table

COLUMNS = ("stage", "block", "of", "mean", "rms", "share", "low", "high", "significant")


class ResidualMean(Accumulator):
    """See `residual_mean`."""

    name = "residual_mean"
    needs_parts = True

    def start(self, stack):
        self.blocks = {block.name: block.stage for block in stack.blocks}
        self.found = {}

    def update(self, trace):
        for name, parts in trace.parts.items():
            if "shortcut" not in parts:
                continue
            for of, end in (("residual", "mix"), ("change", "output")):
                grouped = self.found.setdefault((name, of), Grouped())
                grouped.add([parts[end] - parts["shortcut"]])

    def result(self):
        rows = []
        for (name, of), grouped in self.found.items():
            moments = grouped.total
            mean = moments.mean[0]
            error = np.sqrt(moments.covariance[0, 0] / max(1, moments.n - 1))
            share, low, high = bounds(*grouped.interval(_share))
            row = {"stage": self.blocks[name], "block": name, "of": of, "mean": mean.mean()}
            row |= {"rms": np.sqrt((mean**2).mean()), "share": share, "low": low, "high": high}
            rows.append({**row, "significant": (np.abs(mean) > 1.96 * error).mean()})
        return Table(rows, COLUMNS)


def _share(moments):
    """The part of the power that is the mean's, less what chance gives."""
    square, variance = moments.mean[0] ** 2, moments.covariance[0, 0]
    chance = variance / max(1, moments.n - 1)
    power = (square + variance).sum()
    return (square - chance).sum() / power if power else np.nan


def residual_mean(model, images, *, progress=None):
    """The mean of what each block adds, which is 0 if blocks estimate the same features.

    Equations 6 to 9 of Greff et al. 2017: if every block's output is an unbiased estimate of the same
    features, the residual F has E[F] = 0 over the data at every unit.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage"; "block"; "of", "residual" (F, the mix less the shortcut) or
        "change" (the output less the shortcut: with a last ReLU max(F, -shortcut), which is at least F);
        "mean", of E[F] over the units; "rms", the root of the mean square of E[F]; "share", the part of the power
        E[F^2] that is E[F]^2, at most 1 and, as it is corrected for chance, around 0 without a mean,
        None for blocks that add nothing; "low" and "high", its 95% interval over images;
        "significant", the share of units with |E[F]| above 1.96 standard errors, about 0.05 by chance.
        Plain blocks have no shortcut and no rows.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.residual_mean(model, images)
        >>> sorted(set(table["of"]))
        ['change', 'residual']
    """
    return observe(model, images, [ResidualMean()], progress=progress)["residual_mean"]
