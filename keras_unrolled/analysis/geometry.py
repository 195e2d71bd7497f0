"""How far and where to blocks move their input."""

import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.analysis.moments import Grouped, add_up, bounds
from keras_unrolled.analysis.observing import PLACES, Accumulator, observe
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.analysis.table import Table
from keras_unrolled.data.examples import Examples

COLUMNS = (
    "stage", "block", "ratio", "cosine", "influence", "influence_positions", "gradient_cosine",
    "low", "high", "at",
)  # fmt: skip
TINY = 1e-12


class Geometry(Accumulator):
    """See `geometry`.

    Args:
        at: optional string, the place of the gradient, which `observe` is asked for.
        name: string, for several of them in one pass.
    """

    needs_parts = True

    def __init__(self, at=None, name="geometry"):
        self.at, self.name = at, name

    def start(self, stack):
        self.stages = {block.name: block.stage for block in stack.blocks}
        self.moves, self.descents = {}, {}

    def update(self, trace):
        for name, parts in trace.parts.items():
            if "shortcut" not in parts:
                continue
            start, end = parts["shortcut"], parts["output"]
            added = parts["mix"] - start
            # What has no length has no ratio, and images that are classified with certainty have
            # no gradient, and no direction.
            known = ops.cast(_norm(start) > TINY, "float32")
            rows = [known * _norm(added) / ops.maximum(_norm(start), TINY), known]
            places = _cosine(start, end, positions=True)
            places = ops.mean(places, axis=(1, 2)) if len(places.shape) == 3 else places
            rows += [_cosine(start, end), places]
            self.moves.setdefault(name, Grouped()).add(rows, add_up)
            gradient = trace.gradients.get(self.at, {}).get(name)
            if gradient is not None and gradient.shape == added.shape:
                known = ops.cast(_norm(gradient) > TINY, "float32")
                descent = -_cosine(added, gradient) * known
                self.descents.setdefault(name, Grouped()).add([descent, known], add_up)

    def result(self):
        rows = []
        for name, grouped in self.moves.items():
            row = {"stage": self.stages[name], "block": name}
            _, _, cosine, places = grouped.total.mean
            ratio = _mean_of_known(grouped.total)
            row["ratio"] = None if np.isnan(ratio) else ratio
            row |= {"cosine": cosine, "influence": 1 - cosine, "influence_positions": 1 - places}
            found = (np.nan, np.nan, np.nan)
            if name in self.descents:
                found = self.descents[name].interval(_mean_of_known)
            row |= dict(zip(("gradient_cosine", "low", "high"), bounds(*found)))
            rows.append({**row, "at": self.at})
        return Table(rows, COLUMNS)


def _mean_of_known(sums):
    return sums.sums[0] / sums.sums[1] if sums.sums[1] else np.nan


def _flat(x):
    return ops.reshape(ops.cast(x, "float32"), (x.shape[0], -1))


def _norm(x):
    return ops.sqrt(ops.sum(ops.square(_flat(x)), axis=-1))


def _cosine(a, b, positions=False):
    """Cosines `(batch,)` of whole feature maps, or `(batch, height, width)` at each position.

    Of two vectors of length 0 it is 1, as they are the same, and of one and another 0.
    """
    a, b = (ops.cast(v, "float32") if positions else _flat(v) for v in (a, b))
    lengths = [ops.sqrt(ops.sum(ops.square(v), axis=-1)) for v in (a, b)]
    # Each is divided by its own length: the product of two small ones would vanish in float32.
    a, b = (v / ops.maximum(n, TINY)[..., None] for v, n in zip((a, b), lengths))
    return ops.where(ops.maximum(*lengths) > TINY, ops.sum(a * b, axis=-1), 1.0)


def geometry(model, images, labels=None, *, at="input", progress=None):
    """The length and direction of what each block adds to its input.

    Jastrzebski et al. 2018 take the ratio and the cosine of F with the gradient of the loss at the
    block's input, whose negative we take: a block that refines an estimate moves down the loss. The
    sign depends on where the gradient is taken. The block influence of Men et al. 2024 (ShortGPT) is 1
    less the cosine between a layer's input and output at each token; for images that is the mean over
    positions.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`, for the gradient; the default is those of `Examples`.
        at: where the gradient is taken: "input" or "output" of the block, through the rest of the
            network, or "readout", at the output as the head reads it out directly (last stage only).
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "stage"; "block"; means over images of "ratio", |F| / |h| with F the mix
        less the shortcut h, over images whose h is not 0, "cosine" between shortcut and output of whole
        feature maps, "influence", 1 less that, and "influence_positions", the same at each position
        (0 where both are 0); "gradient_cosine" of F with the negative gradient, over images whose
        gradient is not 0, with "low" and "high", its 95% interval, None without labels and where the
        gradient has another shape (at the input of transition blocks); "at". Plain blocks have no rows.

    Raises:
        InputError: for labels with a network that has no scores of its own; as `observe`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> ku.analysis.geometry(model, images)["block"]
        ['stage1_block1', 'stage2_block1', 'stage3_block1']
    """
    checks.one_of("at", at, PLACES)
    place = at if labels is not None or isinstance(images, Examples) else None
    stack = as_stack(model)
    if place is not None and stack.head is None:
        raise checks.InputError(
            "Expected a network whose blocks lead to class scores, for the gradient of the loss. "
            "Received a language model, whose gated layers are within it. Leave labels out."
        )
    found = observe(stack, (images, labels), [Geometry(place)], gradients=place, progress=progress)
    return found["geometry"]
