"""Small networks that together use every gating and every option."""

import numpy as np

SMALL = {
    "stackwise_num_filters": [8, 16],
    "stackwise_num_blocks": [1, 2],
    "stackwise_num_strides": [1, 2],
    "stem": "cifar",
    "stem_filters": 8,
}

OPTIONS = {
    **{
        gating: {"gating": gating}
        for gating in ("plain", "residual", "full", "coupled", "c_only", "t_only")
    },
    "bottleneck": {"gating": "coupled", "block_type": "bottleneck"},
    "bottleneck_stride_conv1": {"block_type": "bottleneck", "stride_conv": 1},
    "pre": {"gating": "coupled", "activation_order": "pre"},
    "pre_residual_bottleneck": {"activation_order": "pre", "block_type": "bottleneck"},
    "pre_nobn": {"gating": "full", "activation_order": "pre", "normalization": None},
    "pointwise": {"gating": "full", "gate_type": "pointwise"},
    "pre_pointwise": {"gating": "coupled", "gate_type": "pointwise", "activation_order": "pre"},
    "group": {"gating": "coupled", "normalization": "group"},
    "nobn": {"gating": "coupled", "normalization": None},
    "transform_relu": {"gating": "coupled", "transform_relu": True, "mix_relu": False},
    "no_mix_relu": {"gating": "full", "mix_relu": False},
    "pad": {"gating": "coupled", "shortcut": "pad"},
    "layer_dropout": {"gating": "coupled", "layer_dropout": 0.5},
    "layer_dropout_sample": {"layer_dropout": 0.5, "layer_dropout_unit": "sample"},
    "imagenet_stem": {"stem": "imagenet"},
    "imagenet_stem_pre": {"stem": "imagenet", "activation_order": "pre"},
    "width": {"width_multiplier": 0.75},
}


def make_net(name, **overrides):
    """The backbone of one of OPTIONS."""
    from keras_unrolled.models import ImageBackbone

    return ImageBackbone(**{**SMALL, **OPTIONS[name], **overrides})


def randomize(model, seed=0):
    """Fills a model with weights that depend on the seed and the order alone.

    Normalization gets statistics far from its initial ones.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape, last = weight.shape, weight.path.split("/")[-1]
        if last == "kernel":
            value = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif last == "gamma":
            value = rng.uniform(0.5, 1.5, shape)
        elif last == "moving_variance":
            value = rng.uniform(0.5, 2.0, shape)
        else:
            value = rng.normal(0, 0.3, shape)
        weight.assign(value)
