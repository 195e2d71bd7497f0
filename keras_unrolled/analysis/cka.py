"""Centered kernel alignment between blocks and between networks."""

from math import isnan

import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.observing import Trace
from keras_unrolled.analysis.running import count_bytes
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.analysis.table import Table

FEWEST = 4  # images of a batch, of which the unbiased estimate exists
ROUNDING = 2 * np.finfo("float32").eps  # relative difference of features that are the same


def cka(model, images, *, other=None, batch_size=None, progress=None):
    """How alike the features of two blocks are, whatever their number (Kornblith et al. 2019).

    Linear CKA with the unbiased HSIC of Song et al. 2012, each term averaged over mini-batches (Nguyen
    et al. 2021), so that memory does not depend on the images; a smaller last batch weighs less. The
    size of the batches changes the noise and not what is estimated.

    Args:
        model: what `as_stack` takes.
        images: as `Samples` takes them, 4 at least; a last batch of fewer than 4 is left out.
        other: optional second network for the same images; the default compares blocks of one.
        batch_size: optional int, 4 or more; the default is what memory allows, 250 at most.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "block"; "other", a block of the same or of the other network; "cka", at
        most 1, and exactly 1 for a block and itself. It may be below 0 by chance, and is None for a
        block whose output is the same for all images.

    Raises:
        InputError: for fewer than 4 images; as `observe`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> table = ku.analysis.cka(model, images)
        >>> table.where(block="stage1_block1", other="stage1_block1")["cka"]
        [1.0]
    """
    stacks = [as_stack(model)] + ([as_stack(other)] if other is not None else [])
    samples, runners = [Samples(s, images) for s in stacks], [Runner(s) for s in stacks]
    if batch_size is not None:
        checks.whole("batch_size", batch_size, least=FEWEST, most=100_000)
    if len(samples[0]) < FEWEST:
        raise checks.InputError(
            f"Expected {FEWEST} images or more, to compare them in pairs. Received {len(samples[0])}. "
            "Pass some hundreds."
        )
    size = batch_size or min(
        sample.batch_size(lambda x, s=stack, r=runner: count_bytes(s, r, x))
        for sample, stack, runner in zip(samples, stacks, runners)
    )
    sums, names = 0.0, [[block.name for block in stack.blocks] for stack in stacks]
    for batches in zip(*[s.batches(max(size, FEWEST), progress) for s in samples]):
        if len(batches[0][0]) < FEWEST:
            continue
        kernels = []
        for stack, runner, (x, _) in zip(stacks, runners, batches):
            trace = Trace(stack, runner, x, None, with_parts=False)
            kernels += [_kernel(trace.outputs[block.name]) for block in stack.blocks]
        kernels = np.stack(kernels)
        sums = sums + len(batches[0][0]) * _alignments(kernels)
    values = _normalize(sums)
    first = len(names[0])
    columns = range(first, len(values)) if other is not None else range(first)
    flat = [name for part in names for name in part]
    return Table(
        [
            {"block": flat[i], "other": flat[j], "cka": None if isnan(v := values[i, j]) else v}
            for i in range(first)
            for j in columns
        ],
        ("block", "other", "cka"),
    )


def _kernel(features):
    """The products of all pairs of images, with zeros on the diagonal, float64 `(n, n)`.

    It is 0 where images differ by no more than float32's rounding.
    """
    flat = ops.reshape(ops.cast(features, "float32"), (features.shape[0], -1))
    size = ops.sum(ops.square(flat))
    flat = flat - ops.mean(flat, axis=0)  # the estimate is the same, and rounds less
    if float(ops.sum(ops.square(flat))) <= float(size) * ROUNDING**2:
        return np.zeros((len(flat), len(flat)))
    kernel = np.array(ops.convert_to_numpy(ops.matmul(flat, ops.transpose(flat))), "float64")
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _normalize(sums):
    """CKA of the HSIC of all pairs `(k, k)`; NaN for kernels without any."""
    scale = np.sqrt(np.where(np.diagonal(sums) > 0, np.diagonal(sums), np.nan))
    values = sums / scale[:, None] / scale[None]
    np.fill_diagonal(values, np.where(np.isnan(scale), np.nan, 1.0))
    return values


def _alignments(kernels):
    """The unbiased HSIC of all pairs of kernels `(k, n, n)`, an array `(k, k)`."""
    n = kernels.shape[1]
    rows, totals = kernels.sum(-1), kernels.sum((-1, -2))
    flat = kernels.reshape(len(kernels), -1)
    products = flat @ flat.T
    outer = np.outer(totals, totals) / ((n - 1) * (n - 2))
    return (products + outer - 2 / (n - 2) * rows @ rows.T) / (n * (n - 3))
