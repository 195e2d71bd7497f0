"""What can be read out of the features after each block."""

from typing import Any

import numpy as np
from keras import ops

from keras_unrolled import progress as bars
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.observing import Trace
from keras_unrolled.analysis.probe import Probe
from keras_unrolled.analysis.running import SCORES, Score, count_bytes, log_probabilities
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.stack import as_stack, require_head
from keras_unrolled.analysis.table import Table

COLUMNS = ("block", "readout", "macs", *SCORES)


def readout(model, images, labels=None, *, train=None, progress=None):
    """Scores of classes read out after each block, as in an early exit.

    After a block of the last stage the head is applied as it is (the logit lens); a network that
    refines an estimate comes closer to its last answer from block to block. With training data, a
    linear probe of its own, trained on the features averaged over height and width, is read out after
    every block (Alain & Bengio 2016), which needs no agreement with the head.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: int array `(n,)`.
        train: optional pair of other images and labels, or `Examples`, to train the probes on.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "block"; "readout", "head" or "probe"; "macs", multiply-accumulates for
        one image up to there and without the readout, None where they are not known; and the scores of
        `run_schedules`, compared with the whole network.

    Raises:
        InputError: for missing labels; as `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(14, dataset="cifar", width_multiplier=0.25)
        >>> sample = ku.data.load_sample()
        >>> table = ku.analysis.readout(model, sample.images[:8], sample.labels[:8])
        >>> table["block"]
        ['stage3_block1', 'stage3_block2']
    """
    stack = require_head(as_stack(model))
    samples, runner = Samples(stack, images, labels), Runner(stack)
    known = samples.needs_labels("the readout")
    classes = stack.num_classes or int(known.max()) + 1
    size = samples.batch_size(lambda x: count_bytes(stack, runner, x))
    probes = {}
    if train is not None:
        pair = train if isinstance(train, tuple) else (train, None)
        others = Samples(stack, *pair)
        others.needs_labels("the training of probes")
        features = _collect(stack, runner, others, size, bars.title(progress, "training"))
        probes = {name: Probe(x, others.labels, classes) for name, x in features.items()}
    last = {block.name for block in stack.blocks if block.stage == stack.blocks[-1].stage}
    rows: dict = {}
    for x, y in samples.batches(size, progress):
        trace = Trace(stack, runner, x, y, with_parts=False)
        intact = log_probabilities(stack, trace.scores)
        for name, state in trace.outputs.items():
            if name in last:
                found = log_probabilities(stack, runner(stack.head, state))
                rows.setdefault((name, "head"), Score(True)).add(found, intact, y)
            if name in probes:
                found = probes[name].log_probabilities(_pool(state))
                rows.setdefault((name, "probe"), Score(True)).add(found, intact, y)
    macs = _count_macs(stack, samples)
    return Table(
        [
            {"block": block.name, "readout": kind, "macs": macs[block.name], **rows[key].row()}
            for kind in ("head", "probe")
            for block in stack.blocks
            if (key := (block.name, kind)) in rows
        ],
        COLUMNS,
    )


def _pool(state):
    """Features averaged over height and width, `(batch, channels)`."""
    state = ops.cast(state, "float32")
    axes = tuple(range(1, len(state.shape) - 1))
    return ops.convert_to_numpy(ops.mean(state, axis=axes) if axes else state)


def _collect(stack, runner, samples, size, progress):
    """The pooled features of all blocks for all samples."""
    rows: dict = {block.name: [] for block in stack.blocks}
    for x, _ in samples.batches(size, progress):
        for name, state in Trace(stack, runner, x, None, with_parts=False).outputs.items():
            rows[name].append(_pool(state))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _count_macs(stack, samples):
    """Multiply-accumulates from the image to the end of each block, where layers count them."""
    x, _ = samples.take([0])
    shape, total, found = tuple(x.shape), 0, {}
    for piece in (stack.stem, *stack.blocks):
        layer: Any = piece.layers[0]
        if len(piece.layers) > 1 or not hasattr(layer, "count_macs"):
            return dict.fromkeys([block.name for block in stack.blocks])
        total += layer.count_macs(shape)
        shape = layer.compute_output_shape(shape)
        found[piece.name] = total
    return found
