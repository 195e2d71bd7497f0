"""timm's checkpoints of residual nets: in, as a classifier, and out, for timm to load.

A checkpoint is a folder with `config.json` and `model.safetensors`, as timm publishes it.
"""

import json
import re
from pathlib import Path

import keras
import numpy as np

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
# Why others are refused: what their names say, first match first.
REFUSED = (
    (r"wide_", "its blocks are wider inside than a ResNet's"),
    (r"resnext|nextaa", "its convolutions are grouped (ResNeXt)"),
    (r"resnest", "its convolutions are split and attended to (ResNeSt)"),
    (r"^(legacy_)?(se|eca|gc|sk|bat|lambda)", "it has attention in its blocks"),
    (r"^resnetrs|_clip|^resnet(51q|61q|3[23]ts)|_mlp", "its stem or head is another"),
    (r"^nf_", "it is normalisation-free, with scaled weights"),
    (r"_bit$", "its weights are standardised and its norms are of groups (BiT)"),
    (r"_(gn|evos|frn)$", "its normalisation is not batch normalisation"),
    (r"^resnet(aa|blur)", "it blurs where it strides"),
    (r"^resnet(v2_)?\d+d", "its stem is deep and its shortcuts average before they project "
     "(ResNet-D)"),
    (r"^resnet(v2_)?\d+[cst]", "its stem has three convolutions"),
)  # fmt: skip
EPSILON = 1e-5
MOST_JSON = 2**24  # bytes


def is_timm(folder):
    """Whether a folder holds a checkpoint of timm: a configuration with an architecture."""
    try:
        return "architecture" in _read_json(Path(folder) / CONFIG)
    except (OSError, ValueError):
        return False


def _read_json(path):
    if path.stat().st_size > MOST_JSON:
        raise ValueError(f"{path.stat().st_size:,} bytes")
    config = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"a {type(config).__name__}")
    return config


def read_config(folder):
    """What timm's configuration says, in this package's words.

    Args:
        folder: path of a checkpoint.

    Returns:
        A dict: "architecture", "network" (arguments of `ImageBackbone`), "num_classes",
        "labels" (a list or None), "preprocessing" (as `models.make_preprocessor` takes it),
        "licence".

    Raises:
        InputError: for a network that is none of `ARCHITECTURES`, with the reason, and for
            a configuration that lacks something.
    """
    path = Path(folder) / CONFIG
    try:
        config = _read_json(path)
        name = config["architecture"]
        given = config.get("pretrained_cfg", config)
        classes = config["num_classes"]
        preprocessing = {
            "image_size": given["input_size"][1:],
            "crop_fraction": given["crop_pct"],
            "interpolation": given["interpolation"],
            "crop_to_aspect_ratio": given.get("crop_mode", "center") != "squash",
            "mean": [float(x) for x in given["mean"]],
            "std": [float(x) for x in given["std"]],
        }
        labels = config.get("label_names")
        licence = given.get("license") or "unknown"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise checks.InputError(
            f"Expected timm's configuration in {path}: architecture, num_classes, and "
            "pretrained_cfg with input_size, crop_pct, interpolation, mean and std. Found "
            f"something else ({error!r}). Restore the file."
        ) from error
    if name not in ARCHITECTURES:
        raise checks.InputError(
            f"Expected one of {', '.join(ARCHITECTURES)}. Received: {name!r}, which cannot be "
            f"converted: {_why(str(name))}. Choose one of the former."
        )
    usual = {"in_chans": 3, "num_classes": classes, "global_pool": "avg"}
    changed = {k: v for k, v in config.get("model_args", {}).items() if usual.get(k) != v}
    if changed or config.get("global_pool", "avg") != "avg" or given["input_size"][0] != 3:
        raise checks.InputError(
            f"Expected {name} as timm builds it, for three channels and with average pooling. "
            f"Received other settings: {changed or config.get('global_pool')!r}. Choose a "
            "checkpoint without them."
        )
    checks.one_of("interpolation", preprocessing["interpolation"], ("bilinear", "bicubic"))
    checks.one_of("crop_mode", given.get("crop_mode", "center"), ("center", "squash"))
    checks.whole("num_classes", classes, least=2, most=100_000)
    if labels is None and classes == 1000:
        labels = models.imagenet_labels()
    return {
        "architecture": name,
        "network": network(*ARCHITECTURES[name]),
        "num_classes": classes,
        "labels": labels,
        "preprocessing": preprocessing,
        "licence": licence,
    }


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


def from_timm(folder, *, load_weights=True, dtype=None):
    """A classifier from a checkpoint of timm, with timm's preprocessing.

    Images are prepared for the size that the network was trained at (`input_size`), as
    `timm.data.resolve_model_data_config` does. A network of 1,000 classes without names of
    its own is taken to know ImageNet-1k.

    Args:
        folder: path of a folder with `config.json` and `model.safetensors`.
        load_weights: bool; without, the weights are random.
        dtype: optional dtype policy, such as "mixed_bfloat16".

    Returns:
        An `ImageClassifier` of the gating "residual" that puts out logits.

    Raises:
        InputError: for a network of another kind, by its name and with the reason, and for
            weights that are not all of this network's, or not finite.
    """
    facts = read_config(folder)
    if load_weights:
        path = Path(folder) / WEIGHTS
        shapes = _read_shapes(path)
        head = shapes.get("fc.weight") or shapes.get("head.fc.weight") or [0]
        if head[0] != facts["num_classes"]:  # before anything of that size is made
            raise checks.InputError(
                f"Expected weights for {facts['num_classes']} classes in {path}. Found them "
                f"for {head[0]}. The file belongs to another configuration."
            )
    backbone = models.ImageBackbone(**facts["network"], dtype=dtype)
    model = models.ImageClassifier(
        backbone,
        facts["num_classes"],
        labels=facts["labels"],
        preprocessor=models.make_preprocessor(facts["preprocessing"]),
    )
    if load_weights:
        _assign(model, path, shapes)
    return model


def to_timm(model, folder):
    """Writes a classifier as a checkpoint that timm loads strictly.

    Args:
        model: an `ImageClassifier` of one of `ARCHITECTURES`, with any number of classes.
        folder: path of the folder to make; it appears whole or not at all.

    Returns:
        timm's name of the network.

    Raises:
        InputError: for a network that timm has not, a Highway net among them, and for a
            folder that exists.
    """
    from safetensors.numpy import save_file

    name = _architecture(model)
    folder = Path(folder).expanduser()
    if folder.exists():
        raise checks.InputError(
            f"Expected a new folder for the checkpoint. Found something at {folder}. "
            "Choose another place."
        )
    tensors = {}
    for key, variable in _layout(model):
        values = keras.ops.convert_to_numpy(variable.value).astype("float32")
        if key.endswith(".running_mean"):
            tensors[key.replace("running_mean", "num_batches_tracked")] = np.array(0, "int64")
        if values.ndim == 4:
            values = values.transpose(3, 2, 0, 1)
        elif values.ndim == 2:
            values = values.T
        if key == "head.fc.weight":
            values = values[:, :, None, None]
        tensors[key] = np.ascontiguousarray(values)
    converter = model.preprocessor.image_converter
    std = [1 / (255 * scale) for scale in converter.scale]
    config = {
        "architecture": name,
        "num_classes": model.num_classes,
        "num_features": int(model.backbone.output.shape[-1]),
        "global_pool": "avg",
        "pretrained_cfg": {
            "input_size": [3, *converter.image_size],
            "interpolation": converter.interpolation,
            "crop_pct": converter.crop_fraction,
            "crop_mode": "center" if converter.crop_to_aspect_ratio else "squash",
            "mean": [round(-o * s, 9) for o, s in zip(converter.offset, std)],
            "std": [round(s, 9) for s in std],
            "num_classes": model.num_classes,
            "first_conv": "stem.conv" if name.startswith("resnetv2") else "conv1",
            "classifier": "head.fc" if name.startswith("resnetv2") else "fc",
        },
    }
    if model.labels:
        config["label_names"] = list(model.labels)
    with files.written_aside(folder) as aside:
        save_file(tensors, aside / WEIGHTS, metadata={"format": "pt"})
        (aside / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    return name


def _architecture(model):
    """timm's name of a network, or a refusal that says what is different."""
    backbone = model.backbone
    options = backbone.options
    converter = getattr(model.preprocessor, "image_converter", None)
    expected = {
        "gating": (backbone.gating, "residual"),
        "stem": (backbone.stem, "imagenet"),
        "stem_filters": (backbone.stem_filters, 64),
        "stackwise_num_filters": (list(backbone.stackwise_num_filters), [64, 128, 256, 512]),
        "stackwise_num_strides": (list(backbone.stackwise_num_strides), [1, 2, 2, 2]),
        "width_multiplier": (backbone.width_multiplier, 1),
        "normalization": (options["normalization"], "batch"),
        "epsilon": (options["epsilon"], EPSILON),
        "shortcut": (options["shortcut"], "projection"),
        "stride_conv": (options["stride_conv"], 2),
        "transform_relu": (options["transform_relu"], False),
        "mix_relu": (options["mix_relu"], options["activation_order"] == "post"),
        "pooling": (model.pooling, "avg"),
        "activation": (model.activation, None),
        "channels": (backbone.image_shape[-1], 3),
        "preprocessor": (getattr(converter, "image_size", None) is not None, True),
    }
    if options["block_type"] == "basic":
        expected.pop("stride_conv")
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise checks.InputError(
                f"Expected a network that timm has, with {what} {wanted!r}. Received one with "
                f"{found!r}. Only a plain ResNet ({', '.join(ARCHITECTURES)}) can be exported."
            )
    blocks = tuple(backbone.stackwise_num_blocks)
    for name, key in ARCHITECTURES.items():
        if key == (options["block_type"], blocks, options["activation_order"]):
            return name
    raise checks.InputError(
        f"Expected the blocks of one of {', '.join(ARCHITECTURES)}. Received "
        f"{options['block_type']} blocks {blocks}, {options['activation_order']}-activation. "
        "timm has no such network."
    )


def _layout(model):
    """Pairs of timm's name and our variable, for every weight of a network."""
    backbone, stem = model.backbone, model.backbone.get_layer("stem")
    pre = backbone.options["activation_order"] == "pre"
    found = []

    def conv(name, layer):
        found.append((f"{name}.weight", layer.kernel))

    def norm(name, layer):
        for theirs, ours in (
            ("weight", layer.gamma),
            ("bias", layer.beta),
            ("running_mean", layer.moving_mean),
            ("running_var", layer.moving_variance),
        ):
            found.append((f"{name}.{theirs}", ours))

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
    found.append((f"{head}.weight", model.output_dense.kernel))
    found.append((f"{head}.bias", model.output_dense.bias))
    return found


def _open(path):
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        pickled = path.with_name("pytorch_model.bin").is_file()
        hint = (
            "pytorch_model.bin is not opened, for a pickle can run code: save it as safetensors."
            if pickled
            else "Is the folder complete?"
        )
        raise checks.InputError(f"Expected weights in {path}. Found no such file. {hint}")
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected a file of safetensors in {path}. Found one that cannot be read "
            f"({error}). Restore it."
        ) from error


def _read_shapes(path):
    """Shape by name, of every tensor but counters of batches."""
    with _open(path) as file:
        return {
            name: list(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118  it is not a dict
            if not name.endswith(".num_batches_tracked")
        }


def _assign(model, path, shapes):
    layout = _layout(model)
    missing = [name for name, _ in layout if name not in shapes]
    unknown = sorted(shapes.keys() - {name for name, _ in layout})
    if missing or unknown:
        raise checks.InputError(
            f"Expected the {len(layout)} weights of the network in {path}. Missing: "
            f"{', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}. "
            "The file belongs to another network."
        )
    with _open(path) as file:
        for name, variable in layout:
            try:
                values = file.get_tensor(name)
            except TypeError as error:
                raise checks.InputError(
                    f"Expected weights of float32, float16 or float64 in {path}. {name} is of "
                    f"another type ({error}). Save the checkpoint in float32."
                ) from error
            values = values.astype("float64")  # a wider type than any of theirs
            if values.ndim == 4:
                values = values.transpose(2, 3, 1, 0)
            if name.endswith("fc.weight"):
                values = values.reshape(values.shape[-2:]) if values.ndim == 4 else values.T
            if values.shape != tuple(variable.shape):
                raise checks.InputError(
                    f"Expected {name} in {path} for a variable of shape {tuple(variable.shape)}. "
                    f"Found {shapes[name]}. The file belongs to another network."
                )
            if not np.isfinite(values).all():
                raise checks.InputError(
                    f"Expected finite weights in {path}. Found NaN or infinity in {name}. "
                    "The file is damaged or its training failed: take another."
                )
            variable.assign(values)
