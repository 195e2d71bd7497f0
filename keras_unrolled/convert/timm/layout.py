"""timm's checkpoints of residual networks: architectures, configuration, names of weights."""

import json
import re
from pathlib import Path

from keras_unrolled import checks, files, models

FILES = CONFIG, WEIGHTS = "config.json", "model.safetensors"
# Block type, blocks of each stage and activation order, by timm's name.
ARCHITECTURES = {
    "resnet18": ("basic", (2, 2, 2, 2), "post"),
    "resnet26": ("bottleneck", (2, 2, 2, 2), "post"),
    "resnet34": ("basic", (3, 4, 6, 3), "post"),
    "resnet50": ("bottleneck", (3, 4, 6, 3), "post"),
    "resnet101": ("bottleneck", (3, 4, 23, 3), "post"),
    "resnet152": ("bottleneck", (3, 8, 36, 3), "post"),
    "resnetv2_18": ("basic", (2, 2, 2, 2), "pre"),
    "resnetv2_34": ("basic", (3, 4, 6, 3), "pre"),
    "resnetv2_50": ("bottleneck", (3, 4, 6, 3), "pre"),
    "resnetv2_101": ("bottleneck", (3, 4, 23, 3), "pre"),
    "resnetv2_152": ("bottleneck", (3, 8, 36, 3), "pre"),
}
# Why other networks are rejected, by patterns of their names; the first match counts.
REFUSED = (
    (r"wide_", "its blocks are wider inside than a ResNet's"),
    (r"resnext|nextaa", "its convolutions are grouped (ResNeXt)"),
    (r"resnest", "its convolutions are split and attended to (ResNeSt)"),
    (r"^(legacy_)?(se|eca|gc|sk|bat|lambda)", "it has attention in its blocks"),
    (r"^resnetrs|_clip|^resnet(51q|61q|3[23]ts)|_mlp", "its stem or head is another"),
    (r"^nf_", "it is normalization-free, with scaled weights"),
    (r"_bit$", "its weights are standardised and its norms are of groups (BiT)"),
    (r"_(gn|evos|frn)$", "its normalization is not batch normalization"),
    (r"^resnet(aa|blur)", "it blurs where it strides"),
    (r"^resnet(v2_)?\d+d", "its stem is deep and its shortcuts average before they project "
     "(ResNet-D)"),
    (r"^resnet(v2_)?\d+[cst]", "its stem has three convolutions"),
)  # fmt: skip
EPSILON = 1e-5
MOST_SIDE = 4_096  # pixels of an image; the largest of timm's is a quarter of it
MOST_DEPTH = 20  # of dicts and lists in each other
# A folder with one of these is a preset of KerasHub or of this package, whatever else it has.
OTHERS = ("record.json", "task.json")


def is_timm(folder):
    """Whether a folder holds a checkpoint of timm: a configuration with an architecture.

    A preset's own configuration is not opened, for its hash has not been compared yet.
    """
    if any((Path(folder) / name).exists() for name in OTHERS):
        return False
    try:
        return "architecture" in _read_json(Path(folder) / CONFIG)
    except (OSError, ValueError):
        return False


def _read_json(path):
    if not path.is_file():
        raise FileNotFoundError(path)
    if path.stat().st_size > files.MOST_JSON:
        raise ValueError(f"{path.stat().st_size:,} bytes")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("lists in lists, without end") from error
    if not isinstance(config, dict):
        raise ValueError(f"a {type(config).__name__}")
    if _is_deep(config):  # printing it could fail
        raise ValueError(f"entries nested more than {MOST_DEPTH} times")
    return config


def _is_deep(value):
    level = [value]
    for _ in range(MOST_DEPTH):
        inner = [v for v in level if isinstance(v, (dict, list))]
        level = [x for v in inner for x in (v.values() if isinstance(v, dict) else v)]
    return bool(level)


def read_config(folder):
    """Reads timm's configuration into this package's terms.

    Args:
        folder: path of a checkpoint.

    Returns:
        A dict: "architecture", "network" (arguments of `ImageBackbone`), "num_classes",
        "labels" (a list or None), "preprocessing" (as `models.make_preprocessor` takes it),
        "license".

    Raises:
        InputError: for a network that is not among `ARCHITECTURES`, with the reason, and for an
            incomplete configuration.
    """
    path = Path(folder) / CONFIG
    try:
        config = _read_json(path)
        given = config.get("pretrained_cfg", config)
        channels, *size = given["input_size"]
        changed = dict(config.get("model_args") or {})
        name, classes = str(config["architecture"]), config["num_classes"]
        preprocessing = {
            "image_size": size,
            "crop_fraction": given["crop_pct"],
            "interpolation": given["interpolation"],
            "crop_to_aspect_ratio": given.get("crop_mode", "center") != "squash",
            "mean": [float(x) for x in given["mean"]],
            "std": [float(x) for x in given["std"]],
        }
        labels, license = config.get("label_names"), given.get("license") or "unknown"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise checks.InputError(
            f"Expected timm's configuration in {path}: architecture, num_classes, and "
            "pretrained_cfg with input_size, crop_pct, interpolation, mean and std. Found "
            f"something else ({repr(error)[:200]}). Restore the file."
        ) from error
    if name not in ARCHITECTURES:
        raise checks.InputError(
            f"Expected one of {', '.join(ARCHITECTURES)}. Received: {name[:100]!r}, which cannot be "
            f"converted: {_why(name[:100])}. Choose one of the former."
        )
    usual = {"in_chans": 3, "num_classes": classes, "global_pool": "avg"}
    changed = {k: v for k, v in changed.items() if usual.get(k) != v}
    if changed or config.get("global_pool", "avg") != "avg" or channels != 3:
        raise checks.InputError(
            f"Expected {name} as timm builds it, for three channels and with average pooling. "
            f"Received other settings: {str(changed or config.get('global_pool'))[:200]!r}. Choose a "
            "checkpoint without them."
        )
    checks.one_of("crop_mode", given.get("crop_mode", "center"), ("center", "squash"))
    checks.whole("num_classes", classes, least=2, most=100_000)
    _check_preprocessing(preprocessing)
    _check_texts(path, labels, license)
    if labels is None and classes == 1000:
        labels = models.imagenet_labels()
    return {
        "architecture": name,
        "network": network(*ARCHITECTURES[name]),
        "num_classes": classes,
        "labels": labels,
        "preprocessing": preprocessing,
        "license": license,
    }


def _check_preprocessing(preprocessing):
    """Rejects sizes and numbers that no image could be prepared with."""
    checks.one_of("interpolation", preprocessing["interpolation"], ("bilinear", "bicubic"))
    checks.real("crop_pct", preprocessing["crop_fraction"], least=0.01, most=1)
    size, mean, std = (preprocessing[key] for key in ("image_size", "mean", "std"))
    for what, values, count in (("input_size", [3, *size], 3), ("mean", mean, 3), ("std", std, 3)):
        if len(values) != count:
            raise checks.InputError(
                f"Expected `{what}` of {count} numbers. Received {len(values)}. Restore the file."
            )
    for side in size:
        checks.whole("input_size", side, least=1, most=MOST_SIDE)
    for value in mean:
        checks.real("mean", value, least=-1e3, most=1e3)
    for value in std:  # images are divided by it
        checks.real("std", value, least=1e-6, most=1e3)


def _check_texts(path, labels, license):
    is_list = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not isinstance(license, str) or not (labels is None or is_list):
        raise checks.InputError(
            f"Expected names of classes in a list, and the name of a license, in {path}. Found others: "
            f"{str(labels)[:100]}, {str(license)[:100]}. Restore the file."
        )


def network(block_type, blocks, order):
    """The arguments of `ImageBackbone` for an entry of `ARCHITECTURES`."""
    return {
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": list(blocks),
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": block_type,
        "activation_order": order,
        "epsilon": EPSILON,
    }


def _why(name):
    for pattern, reason in REFUSED:
        if re.search(pattern, name):
            return reason
    close = checks.did_you_mean(name, ARCHITECTURES)
    return f"it is not a residual net of these. {close}".strip().removesuffix(".")


def network_variables(model):
    """Pairs of timm's name and our variable, for every weight of a network."""
    backbone, stem = model.backbone, model.backbone.get_layer("stem")
    pre = backbone.options["activation_order"] == "pre"
    pairs = []

    def conv(name, layer):
        pairs.append((f"{name}.weight", layer.kernel))

    def norm(name, layer):
        for theirs, ours in (
            ("weight", layer.gamma),
            ("bias", layer.beta),
            ("running_mean", layer.moving_mean),
            ("running_var", layer.moving_variance),
        ):
            pairs.append((f"{name}.{theirs}", ours))

    conv("stem.conv" if pre else "conv1", stem.conv)
    if not pre:
        norm("bn1", stem.norm)
    for s, stage in enumerate(backbone.stages):
        for b, block in enumerate(stage):
            at = f"stages.{s}.blocks.{b}" if pre else f"layer{s + 1}.{b}"
            norms = block.transform.norms
            if pre:
                norms = [block.preactivation, *norms]
            for i, layer in enumerate(block.transform.convs, start=1):
                conv(f"{at}.conv{i}", layer)
            for i, layer in enumerate(norms, start=1):
                norm(f"{at}.{'norm' if pre else 'bn'}{i}", layer)
            if block.projection is not None:
                conv(f"{at}.downsample.{'conv' if pre else 0}", block.projection.convs[0])
                if not pre:
                    norm(f"{at}.downsample.1", block.projection.norms[0])
    if pre:
        norm("norm", backbone.get_layer("head_norm"))
    head = "head.fc" if pre else "fc"
    pairs.append((f"{head}.weight", model.output_dense.kernel))
    pairs.append((f"{head}.bias", model.output_dense.bias))
    return pairs
