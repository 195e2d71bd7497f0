"""Residual nets of PyTorch in NumPy, written from their definitions, and random weights for them.

Images are `(batch, channels, height, width)` and kernels `(out, in, height, width)`, as there.
"""

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.convert.timm_golden import make_weight


def conv(x, kernel, stride=1):
    """A convolution with `size // 2` zeros around the image."""
    pad = kernel.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(x, kernel.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("bchwij,ocij->bohw", windows, kernel, optimize=True)


def norm(x, weights, at):
    """Batch normalization with its moving statistics."""
    weight, bias, mean, var = (
        weights[f"{at}.{name}"].astype("float64")[:, None, None]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def relu(x):
    return np.maximum(x, 0)


def max_pool(x):
    """3x3 windows at every second place, with a border that never wins."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    return sliding_window_view(x, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max((-2, -1))


def pad_channels(x, width, side, stride):
    """Option A: every second pixel, and channels of zeros on one side or on both."""
    new = width - x.shape[1]
    before = {"both": new // 2, "last": 0, "first": new}[side]
    return np.pad(x[:, :, ::stride, ::stride], ((0, 0), (before, new - before), (0, 0), (0, 0)))


def post_block(x, weights, at, stride, shortcut):
    """A block of torchvision's ResNet or of one for CIFAR."""
    count = 3 if f"{at}.conv3.weight" in weights else 2
    h = x
    for i in range(1, count + 1):
        strides = stride if i == count - 1 else 1
        h = norm(conv(h, weights[f"{at}.conv{i}.weight"], strides), weights, f"{at}.bn{i}")
        h = relu(h) if i < count else h
    for name in ("shortcut", "downsample"):
        if f"{at}.{name}.0.weight" in weights:
            kernel = weights[f"{at}.{name}.0.weight"]
            return relu(h + norm(conv(x, kernel, stride), weights, f"{at}.{name}.1"))
    if stride != 1 or h.shape[1] != x.shape[1]:
        x = pad_channels(x, h.shape[1], shortcut, stride)
    return relu(h + x)


def logits(weights, images, shortcut="both"):
    """What a post-activated net says: 7x7 stem with pooling, or 3x3 stem; `shortcut` pads so."""
    weights = {name: value.astype("float64") for name, value in weights.items()}
    large = weights["conv1.weight"].shape[-1] == 7
    x = conv(images.astype("float64"), weights["conv1.weight"], 2 if large else 1)
    x = relu(norm(x, weights, "bn1"))
    x = max_pool(x) if large else x
    s = 1
    while f"layer{s}.0.conv1.weight" in weights:
        b = 0
        while f"layer{s}.{b}.conv1.weight" in weights:
            x = post_block(x, weights, f"layer{s}.{b}", 2 if s > 1 and b == 0 else 1, shortcut)
            b += 1
        s += 1
    head = "linear" if "linear.weight" in weights else "fc"
    return x.mean((2, 3)) @ weights[f"{head}.weight"].T + weights[f"{head}.bias"]


def pre_logits(weights, images):
    """What timm's pre-activated `resnetv2` says."""
    weights = {name: value.astype("float64") for name, value in weights.items()}
    x = max_pool(conv(images.astype("float64"), weights["stem.conv.weight"], 2))
    s = 0
    while f"stages.{s}.blocks.0.conv1.weight" in weights:
        b = 0
        while f"stages.{s}.blocks.{b}.conv1.weight" in weights:
            at, stride = f"stages.{s}.blocks.{b}", 2 if s > 0 and b == 0 else 1
            count = 3 if f"{at}.conv3.weight" in weights else 2
            h = entry = relu(norm(x, weights, f"{at}.norm1"))
            for i in range(1, count + 1):
                h = h if i == 1 else relu(norm(h, weights, f"{at}.norm{i}"))
                h = conv(h, weights[f"{at}.conv{i}.weight"], stride if i == count - 1 else 1)
            if f"{at}.downsample.conv.weight" in weights:
                x = conv(entry, weights[f"{at}.downsample.conv.weight"], stride)
            x = x + h
            b += 1
        s += 1
    x = relu(norm(x, weights, "norm")).mean((2, 3))
    return x @ weights["head.fc.weight"][:, :, 0, 0].T + weights["head.fc.bias"]


def make_net(widths, blocks, **options):
    """Random weights of a net, norms far from their start.

    Args:
        widths: filters of each stage.
        blocks: blocks of each stage.
        **options: "stem" (kernel of the first convolution, 3), "stem_width" (that of the first
            stage), "channels" (3), "classes" (10), "bottleneck" (False), "shortcut" ("A" or the
            name of the projections: "shortcut", "downsample"), "head" ("fc") and "pre" (False).
    """
    chosen = {"stem": 3, "stem_width": widths[0], "channels": 3, "classes": 10} | options
    pre, bottleneck = options.get("pre", False), options.get("bottleneck", False)
    shapes = {}

    def add_norm(at, width):
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{at}.{name}"] = (width,)
        shapes[f"{at}.num_batches_tracked"] = ()

    width, size = chosen["stem_width"], chosen["stem"]
    shapes["stem.conv.weight" if pre else "conv1.weight"] = (width, chosen["channels"], size, size)
    if not pre:
        add_norm("bn1", width)
    for s, (inner, count) in enumerate(zip(widths, blocks)):
        out = inner * 4 if bottleneck else inner
        for b in range(count):
            at = f"stages.{s}.blocks.{b}" if pre else f"layer{s + 1}.{b}"
            inside = [width, inner, inner, out] if bottleneck else [width, inner, out]
            for i, (before, after) in enumerate(itertools.pairwise(inside), start=1):
                k = 1 if bottleneck and i != 2 else 3
                shapes[f"{at}.conv{i}.weight"] = (after, before, k, k)
                add_norm(f"{at}.{'norm' if pre else 'bn'}{i}", before if pre else after)
            changes = width != out or (s > 0 and b == 0)
            if changes and pre:
                shapes[f"{at}.downsample.conv.weight"] = (out, width, 1, 1)
            elif changes and options.get("shortcut", "A") != "A":
                shapes[f"{at}.{options['shortcut']}.0.weight"] = (out, width, 1, 1)
                add_norm(f"{at}.{options['shortcut']}.1", out)
            width = out
    if pre:
        add_norm("norm", width)
    head = "head.fc" if pre else chosen.get("head", "fc")
    shapes[f"{head}.weight"] = (chosen["classes"], width) + ((1, 1) if pre else ())
    shapes[f"{head}.bias"] = (chosen["classes"],)
    return {name: make_weight(name, shape) for name, shape in shapes.items()}
