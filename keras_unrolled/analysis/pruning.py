"""Networks with fewer blocks."""

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled.analysis.geometry import geometry
from keras_unrolled.analysis.lesion import lesion
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.models.batch_statistics import recompute_batch_statistics, statistics

BY = ("influence", "lesion")


def prune_depth(model, keep, images, labels=None, *, by="influence", recalibrated=True):
    """A network with fewer blocks.

    Blocks of one shape are ranked by how little they matter, and left out from the least on; every
    stage keeps one block at least. Then the batch statistics are computed again, for after a block
    has gone the features that later ones see have others.

    Args:
        model: an `ImageClassifier` without layer dropout.
        keep: int, the number of blocks to keep.
        images: uint8 array `(n, height, width, channels)`, or as `Samples` takes them: what blocks are
            ranked on and batch statistics come from. Training images keep the test set unseen.
        labels: optional int array `(n,)`, not needed.
        by: "influence", 1 less the cosine between a block's input and output (`geometry`), or
            "lesion", the divergence of the scores when the block alone is left out, with recalibrated
            batch statistics.
        recalibrated: bool, whether batch statistics are computed again.

    Returns:
        A new, compiled `ImageClassifier` with the head, labels and preprocessor of the model.

    Raises:
        InputError: for another model, and if fewer blocks can be left out than that takes.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> smaller = ku.analysis.prune_depth(model, 5, images)
        >>> len(ku.analysis.as_stack(smaller).blocks)
        5
    """
    checks.one_of("by", by, BY)
    stack = as_stack(model)
    names = rank(stack, images, labels, by)
    least = len(stack.blocks) - len(names)
    checks.whole("keep", keep, least=least, most=len(stack.blocks))
    new = leave_out(stack, names[: len(stack.blocks) - keep])
    if recalibrated:
        recalibrate(new, images)
    return new


def leave_out(model, names):
    """A new network without some blocks, with its batch statistics as they were.

    Args:
        model: what `as_stack` takes.
        names: list of strings, blocks of one shape.

    Raises:
        InputError: as `Schedule.lesion` and `Schedule.build`.
    """
    schedule = as_stack(model).schedule()
    for name in names:
        schedule = schedule.lesion(name)
    return schedule.build()


def rank(model, images, labels=None, by="influence"):
    """The blocks that can be left out together, the least important first.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`.
        by: "influence" or "lesion", as `prune_depth`.

    Returns:
        A list of names. One block of each stage is not among them.
    """
    stack = as_stack(model)
    if by == "influence":
        found = {row["block"]: row["influence"] for row in geometry(stack, images)}
        # A plain block has no shortcut to compare with; it is left out last.
        weights = {name: found.get(name, np.inf) for names in stack.movable for name in names}
    else:
        names = [name for names in stack.movable for name in names]
        table = lesion(stack, images, labels, blocks=names, how="identity", recalibrate=True)
        weights = {row["block"]: row["kl"] for row in table if row["recalibrated"]}
    chosen = []
    for names, stage in zip(stack.movable, stack.stages):
        ranked = sorted(names, key=weights.__getitem__)
        chosen += ranked[: len(names) - (len(names) == len(stage))]
    return sorted(chosen, key=weights.__getitem__)


def recalibrate(model, images, size=100):
    """Sets a model's batch statistics to the means of those of batches of some images.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them.
        size: int, images of a batch; a rest is left out.
    """
    samples = Samples(as_stack(model), images)
    batches = list(range(0, max(1, len(samples) - size + 1), size))
    source = samples.batches(size, order=np.random.default_rng(0).permutation(len(samples)))

    def batch():
        x, _ = next(source)
        model(x, training=True)
        return [keras.ops.convert_to_numpy(v) for v in statistics(model)]

    recompute_batch_statistics(model, batch, len(batches))
