"""From a state dict of PyTorch to a classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.convert import state_dict as state_dicts
from keras_unrolled.convert.pytorch.architecture import Architecture, find_architecture, rename
from keras_unrolled.convert.pytorch.preparing import make_preprocessor
from keras_unrolled.convert.timm.layout import network_variables
from keras_unrolled.layers.initial import awaiting_weights
from keras_unrolled.models.limits import at_most
from keras_unrolled.models.policies import get_policy

PADDINGS = ("both", "last", "first")


def from_torch(
    state_dict: Mapping[str, Any] | str | Path,
    *,
    padding: str | None = None,
    preprocessing: dict[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    dtype: Any = None,
) -> models.ImageClassifier:
    """A classifier from the state dict of a residual net of PyTorch, with the same scores.

    Architecture and number of classes are found from names and shapes: ResNets of
    torchvision and timm of any depth (basic or bottleneck blocks, timm's pre-activated V2), and
    the ResNets for CIFAR with a 3x3 stem, `layer1` to `layer3` or `layer4` and the head `linear`
    or `fc`. What leaves no trace in a state dict is taken to be as in these: strides (1 in the
    first stage, 2 in the others, in a bottleneck in the 3x3 convolution), pooling after a 7x7
    stem and none after a 3x3 one, and no blurring.

    Args:
        state_dict: dict from names to arrays or tensors; a checkpoint that has one under
            "state_dict", "model", "net" or the like; or the path of a `.safetensors` file or,
            where torch is installed, of a file of `torch.save` (`.pt`, `.pth`, `.th`, `.bin`,
            `.ckpt`, `.pth.tar`). Names may start with `module.`.
        padding: where a shortcut without weights (He et al. 2015, option A) adds its channels of
            zeros, which a state dict does not tell: "both" (half of them on either side, as
            akamaster/pytorch_resnet_cifar10 and most programs do; what None means), "last" or
            "first". The order of channels is changed so that they come last.
        preprocessing: optional dict that changes how images are prepared: "image_size",
            "crop_fraction", "mean", "std", "interpolation", "crop_to_aspect_ratio", as
            `models.make_preprocessor` takes them; "image_size" may be one number, of a square. By
            default networks with a 7x7 stem get
            torchvision's: 224 pixels of 256, mean (0.485, 0.456, 0.406) and std (0.229, 0.224,
            0.225); those with a 3x3 stem get 32 pixels and, with three stages and a head
            `linear`, the same mean and std (akamaster), else mean (0.4914, 0.4822, 0.4465) and
            std (0.2023, 0.1994, 0.2010) (kuangliu/pytorch-cifar, chenyaofo).
        labels: optional list of the classes' names; a network of 1,000 classes with a 7x7 stem
            is taken to know ImageNet-1k.
        dtype: optional dtype policy, such as "mixed_bfloat16".

    Returns:
        An `ImageClassifier` with residual gating that outputs logits.

    Raises:
        InputError: for another network, with what it seems to be; for what is no state dict, a
            damaged file, weights that are missing, unknown, not finite or no real numbers,
            and variances below 0; for a padding of a network that has none; and for an entry of
            `preprocessing` that is unknown or impossible.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.convert.from_torch("resnet20.th", padding="both")  # doctest: +SKIP
    """
    if isinstance(state_dict, str | Path):
        where = str(state_dict)
        state_dict = state_dicts.read(checks.expand(state_dict))
    else:
        where = "the state dict"
    weights = state_dicts.to_arrays(state_dict, where)
    has_linear = "linear.weight" in weights
    weights = {rename(name): values for name, values in weights.items()}
    shapes = {name: values.shape for name, values in weights.items()}
    architecture = find_architecture(shapes, where)
    if architecture.pads:
        padding = checks.one_of("padding", "both" if padding is None else padding, PADDINGS)
    elif padding is not None:
        raise checks.InputError(
            f"Expected no padding for {where}, whose shortcuts are projections. Received: "
            f"padding={padding!r}. Leave it out."
        )
    is_imagenet = architecture.network["stem"] == "imagenet"
    if labels is None and is_imagenet and architecture.num_classes == 1000:
        labels = models.imagenet_labels()
    # No more is allocated than the weights can fill.
    with at_most(sum(values.size for values in weights.values())), awaiting_weights():
        model = models.ImageClassifier(
            models.ImageBackbone(**architecture.network, dtype=get_policy(dtype)),
            architecture.num_classes,
            labels=labels,
            preprocessor=make_preprocessor(architecture, has_linear, preprocessing),
        )
    pairs = network_variables(model)
    if padding is not None:
        state_dicts.check(pairs, weights, where)
        weights = reorder_channels(weights, architecture, padding)
    state_dicts.assign(pairs, weights, where)
    return model


def reorder_channels(
    weights: dict[str, np.ndarray], architecture: Architecture, padding: str
) -> dict[str, np.ndarray]:
    """Weights whose shortcuts pad at the end, with the function of those that pad as `padding`.

    A stage's blocks add to the same channels, in an order that is as good as any other: what
    writes them (the last convolution and norm of each block) and what reads them (the first
    convolution of each block and of the next stage, and the dense layer) is permuted alike.
    Between the convolutions of a block nothing changes.

    Args:
        weights: arrays in PyTorch's layout, by torchvision's names.
        architecture: their `Architecture`, with a padding shortcut.
        padding: "both", "last" or "first", the side on which they pad.

    Returns:
        A dict of the same names.
    """
    new, network = dict(weights), architecture.network
    last = 3 if network["block_type"] == "bottleneck" else 2
    order = np.arange(network["stem_filters"])
    for s, blocks in enumerate(network["stackwise_num_blocks"], start=1):
        for b in range(blocks):
            at = f"layer{s}.{b}"
            new[f"{at}.conv1.weight"] = new[f"{at}.conv1.weight"][:, order]
            order = _extend(order, len(weights[f"{at}.conv{last}.weight"]), padding)
            for name in ("weight", "bias", "running_mean", "running_var"):
                name = f"{at}.bn{last}.{name}"
                if name in new:
                    new[name] = new[name][order]
            new[f"{at}.conv{last}.weight"] = new[f"{at}.conv{last}.weight"][order]
    new["fc.weight"] = new["fc.weight"][:, order]
    return new


def _extend(order, width, padding):
    """Which of a block's `width` channels each of ours is: first those carried, then the new."""
    added = width - len(order)
    before = {"both": added // 2, "last": 0, "first": added}[padding]
    new = np.delete(np.arange(width), np.s_[before : before + len(order)])
    return np.concatenate([before + order, new])
