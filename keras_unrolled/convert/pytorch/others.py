"""State dicts of other networks, recognized by the names of their weights."""

import re
from typing import NoReturn

from keras_unrolled import checks

# What a network is that cannot be converted, by patterns of its weights' names; the first match
# counts.
OTHERS = (
    (r"^(rpn|roi_heads|backbone\.body|head\.classification_head)\.", "a detection model"),
    (r"^backbone\.(conv1|layer1)\.", "the backbone of a larger model, for segmentation or detection"),
    (r"^decode_head\.", "a segmentation model"),
    (r"^resnet\.(embedder|encoder)\.", "a ResNet in the layout of Hugging Face's transformers (take "
     "the same network from timm, as hf://timm/resnet50.a1_in1k)"),
    (r"^visual\.|attnpool\.|^head\.pos_embed", "an image encoder of CLIP"),
    (r"^layer1\.0\.conv1\.0\.", "a network for video"),
    (r"relative_position_bias_table", "a Swin transformer or a relative of it"),
    (r"(^|\.)(cls_token|class_token|pos_embed|pos_embedding|patch_embed)", "a vision transformer"),
    (r"\.attn\.(qkv|proj)\.|\.self_attention\.|\.self_attn\.|\.attention\.self\.", "a transformer"),
    (r"^(features\.)?denseblock", "a DenseNet"),
    (r"^Mixed_|^Conv2d_1a|^inception3a\.", "an Inception net"),
    (r"\.gain$", "a net without normalization (NF-ResNet, NFNet)"),
    (r"^features\.\d+\.squeeze\.", "a SqueezeNet"),
    (r"^features\.\d+\.\d+\.layer_scale|^stages\.\d+\.blocks\.\d+\.(conv_dw|gamma)", "a ConvNeXt"),
    (r"^conv_stem\.|^features\.\d+\.(\d+\.)?(block|conv\.\d)\b|^layers\.\d+\.\d+\.layers\.",
     "an EfficientNet, a MobileNet or a relative of them"),
    (r"\.(conv_dw|dwconv)\.", "a network with depthwise convolutions"),
    (r"^(trunk_output\.|s1\.b1\.)", "a RegNet"),
    (r"^features\.\d+\.(weight|bias)$", "a VGG or an AlexNet"),
    (r"^(layers|blocks)\.\d+\.", "a stack of blocks that is no ResNet"),
)  # fmt: skip

# Why a relative of ResNet cannot be converted, likewise.
RELATIVES = (
    (r"\.(se|eca|attn|ca|sa|se_module|conv_attn)\.|^layer\d+\.\d+\.fc[12]\.", "has attention in its blocks"),
    (r"^conv1\.\d|^stem\.conv1\.", "has a stem of three convolutions (ResNet-D and others)"),
    (r"\.downsample\.2\.", "averages in its shortcuts before it projects (ResNet-D)"),
)  # fmt: skip


def explain(names):
    """What a state dict belongs to, as far as its names tell: an English phrase."""
    names = list(names)
    for pattern, what in OTHERS:
        if any(re.search(pattern, name) for name in names):
            return what
    relative = find_relative(names)
    if relative and any(name.startswith(("layer1.", "stages.")) for name in names):
        return f"a network that {relative}"
    shown = ", ".join(names[:4]) or "none at all"
    return f"a network with the weights {shown}{', ...' if len(names) > 4 else ''}"


def find_relative(names):
    """What distinguishes a relative of ResNet, as "has attention in its blocks", or None."""
    for pattern, what in RELATIVES:
        if any(re.search(pattern, name) for name in names):
            return what
    return None


def refuse(where: str, what: str) -> NoReturn:
    """Raises `InputError` for a network that is none of those that can be converted."""
    raise checks.InputError(
        "Expected the state dict of a ResNet as torchvision, timm or the usual programs for CIFAR "
        f"name its weights (conv1, bn1, layer1.0.conv1, ..., fc). Found {what} in {where}. Only "
        "such a ResNet can be converted."
    )
