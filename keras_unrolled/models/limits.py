"""Limits on the size of a network, checked before anything is allocated."""

from contextlib import contextmanager
from contextvars import ContextVar

from keras_unrolled import checks
from keras_unrolled.layers.block import BLOCK_TYPES, MOST_FILTERS
from keras_unrolled.layers.mixing import GATINGS

MOST_WEIGHTS = 2**31
_most_weights = ContextVar("most_weights", default=MOST_WEIGHTS)


@contextmanager
def at_most(weights):
    """Inside, a network with more weights is rejected before anything is allocated.

    Args:
        weights: int, or None for 2**31.
    """
    token = _most_weights.set(MOST_WEIGHTS if weights is None else min(weights, MOST_WEIGHTS))
    try:
        yield
    finally:
        _most_weights.reset(token)


def count_kernels(widths, blocks, block_type, gating, gate_type, stem_filters, channels):
    """The number of weights in the kernels of H, the gates and the projections, at least.

    Args:
        widths: list of int, filters of each stage's blocks.
        blocks: list of int, blocks of each stage.
        block_type: "basic" or "bottleneck".
        gating: a key of `GATINGS`.
        gate_type: "stack" or "pointwise".
        stem_filters: int, channels that the first block reads.
        channels: int, of an image.

    Returns:
        An int, computed without building anything.
    """
    kernels, expansion = BLOCK_TYPES[block_type]
    total = 9 * channels * stem_filters
    read, gates = stem_filters, len(GATINGS[gating].free)
    for width, depth in zip(widths, blocks):
        out = width * expansion
        for inputs, times in ((read, 1), (out, depth - 1)):
            deep = sum(
                k * k * into * onto
                for k, into, onto in zip(
                    kernels,
                    [inputs] + [width] * (len(kernels) - 1),
                    [width] * (len(kernels) - 1) + [out],
                )
            )
            total += times * (deep + gates * (deep if gate_type == "stack" else inputs * out))
        read = out
    return total


def check_weight_count(weights, description):
    """Raises `InputError` for a network of more weights than `at_most` allows."""
    if weights > _most_weights.get():
        raise checks.InputError(
            f"Expected a network of at most {_most_weights.get():,} weights. Received one of more "
            f"than {weights:,}: {description}. Use fewer or narrower layers, or the configuration of the "
            "weights' own network."
        )


def check_stages(argument, values, most):
    """Returns a list of whole numbers from 1 to `most`, one a stage, else raises `InputError`."""
    try:
        values = list(values)
    except TypeError:
        values = []
    if not 1 <= len(values) <= 100:
        raise checks.InputError(
            f"Expected `{argument}` to be a list of 1 to 100 whole numbers, one a stage. "
            f"Received {len(values)} of them. Write for instance [16, 32, 64]."
        )
    return [checks.whole(argument, value, least=1, most=most) for value in values]


def check_image_shape(shape):
    """Returns `(height, width, channels)`, where sizes may be None, else raises `InputError`."""
    try:
        *sizes, channels = shape
    except TypeError:
        sizes, channels = [], None
    if len(sizes) != 2:
        raise checks.InputError(
            "Expected `image_shape` to be (height, width, channels), where sizes may be None. "
            f"Received: image_shape={shape!r}. Write for instance (None, None, 3)."
        )
    checks.whole("channels", channels, least=1, most=MOST_FILTERS)
    for size in sizes:
        if size is not None:
            checks.whole("image size", size, least=1, most=MOST_FILTERS)
    return (*sizes, channels)
