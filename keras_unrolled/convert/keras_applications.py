"""Residual nets of `keras.applications`: ResNet50, ResNet101 and ResNet152."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import keras
import keras_hub

from keras_unrolled import checks, models
from keras_unrolled.convert import keras_files
from keras_unrolled.convert.values import check_model
from keras_unrolled.layers.initial import awaiting_weights
from keras_unrolled.models.copying import copy_values, variables_of
from keras_unrolled.models.policies import get_policy

NAMES = {"ResNet50": 50, "ResNet101": 101, "ResNet152": 152}
SUFFIXES = (".keras", ".h5")
# The number of convolutions, each with its normalization, by depth.
CONVOLUTIONS = {53: 50, 104: 101, 155: 152}
EPSILON = 1.001e-5  # of its batch normalization
# The mean that its `preprocess_input` takes from each channel, here in the order of RGB.
PREPROCESSING = {
    "image_size": (224, 224),
    "crop_fraction": 0.875,
    "mean": [123.68 / 255, 116.779 / 255, 103.939 / 255],
    "std": [1 / 255] * 3,
}


def from_keras_applications(
    source: str | Path | keras.Model, *, weights: str | None = "imagenet", dtype: Any = None
) -> models.ImageClassifier:
    """A classifier from a residual net of `keras.applications`.

    Its channels come in the order BGR; here the first convolution is reversed instead, so
    that images stay RGB. Biases of convolutions go into the normalization after them.

    Args:
        source: a model that `keras.applications.ResNet50`, `ResNet101` or `ResNet152` made,
            with its top; the path of a `.keras` or `.h5` file of one, or of an `.h5` file of
            its weights (as Keras publishes them or `save_weights` writes them); or one of the
            three names.
        weights: what a name is built with, "imagenet" (which takes a network) or None.
        dtype: optional dtype policy, such as "mixed_bfloat16".

    Returns:
        An `ImageClassifier` of the gating "residual" with the activation of the source (of a
        file of weights alone: softmax, as Keras builds the network), whose
        preprocessor does what `keras.applications.resnet.preprocess_input` does, after
        resizing to 256 and cropping to 224 pixels (He et al. 2015).

    Raises:
        InputError: for another network (the V2 nets stride in the last block of a stage,
            which this package's do not), a net without its top, a file that cannot be
            read, or weights that are not finite.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.convert.from_keras_applications("ResNet50", weights=None)  # doctest: +SKIP
    """
    theirs = source if isinstance(source, keras.Model) else _open(source, weights)
    _check_class(theirs)
    names = {layer.name for layer in theirs.layers}
    depth = _depth(theirs.name, names)
    if "predictions" not in names:
        raise checks.InputError(
            f"Expected {theirs.name} with its dense layer 'predictions'. Found it without. "
            "Build it with include_top=True."
        )
    dense = theirs.get_layer("predictions")
    activation = keras.activations.serialize(dense.activation)
    with awaiting_weights():
        backbone = models.resnet(
            depth, stride_conv=1, epsilon=EPSILON, dtype=get_policy(dtype)
        ).backbone
    model = models.ImageClassifier(
        backbone,
        dense.units,
        labels=models.imagenet_labels() if dense.units == 1000 else None,
        activation=None if activation == "linear" else activation,
        preprocessor=models.make_preprocessor(PREPROCESSING),
    )

    def copy(conv, norm, name):
        kernel, *bias = theirs.get_layer(f"{name}_conv").get_weights()
        statistics = theirs.get_layer(f"{name}_bn")
        conv.kernel.assign(kernel[:, :, ::-1] if name == "conv1" else kernel)
        copy_values(variables_of(statistics), variables_of(norm))
        for shift in bias:
            mean = keras.ops.convert_to_numpy(statistics.moving_mean.value)
            norm.moving_mean.assign(mean - shift)

    stem = backbone.get_layer("stem")
    try:
        copy(stem.conv, stem.norm, "conv1")
        for s, stage in enumerate(backbone.stages, start=2):
            for b, block in enumerate(stage, start=1):
                at = f"conv{s}_block{b}"
                parts = zip(block.transform.convs, block.transform.norms, strict=True)
                for i, (conv, norm) in enumerate(parts, start=1):
                    copy(conv, norm, f"{at}_{i}")
                if block.projection is not None:
                    copy(block.projection.convs[0], block.projection.norms[0], f"{at}_0")
        model.output_dense.set_weights(dense.get_weights())
    except ValueError as error:
        raise checks.InputError(
            f"Expected the layers of ResNet{depth} in {theirs.name}. Found others ({error}). "
            "Only the networks of keras.applications can be converted."
        ) from error
    check_model(model, "the model" if theirs is source else str(source))
    return model


def _check_class(model):
    """Raises `InputError` for models, or their registered names, that another function takes."""
    for cls, advice in (
        (models.ImageClassifier, "keras.saving.load_model gives it as it is"),
        (keras_hub.models.ResNetImageClassifier, "convert.from_keras_hub takes the loaded model"),
    ):
        if isinstance(model, cls) or model == keras.saving.get_registered_name(cls):
            raise checks.InputError(
                f"Expected {', '.join(NAMES)} of keras.applications. Received a {cls.__name__}, "
                f"which is none of them: {advice}."
            )


def _depth(name, names):
    """50, 101 or 152, by the names of a network's layers."""
    if any(n.endswith("_preact_bn") for n in names) or "post_bn" in names:
        raise checks.InputError(
            f"Expected {', '.join(NAMES)} of keras.applications. Received: {name!r}, a V2 net, "
            "which strides in the last block of a stage and not in the first. Take a "
            "pre-activated net of timm, such as hf://timm/resnetv2_50.a1h_in1k."
        )
    blocks = [
        len({n for n in names if re.fullmatch(rf"conv{s}_block\d+_out", n)}) for s in range(2, 6)
    ]
    for depth in NAMES.values():
        if "conv1_conv" in names and list(models.IMAGENET_DEPTHS[depth][1]) == blocks:
            return depth
    _refuse_layers(name, names)


def _refuse_layers(name, names):
    shown = ", ".join(sorted(names)[:4]) or "none"
    raise checks.InputError(
        f"Expected {', '.join(NAMES)} of keras.applications. Received: {name!r}, a network with "
        f"the layers {shown}{', ...' if len(names) > 4 else ''}. Only these three can be converted."
    )


def _open(source, weights):
    text = str(source)
    if text in NAMES:
        try:
            return getattr(keras.applications, text)(weights=weights)
        except Exception as error:
            raise checks.InputError(
                f"Expected the weights {weights!r} of {text}, which Keras downloads. It failed: "
                f"{error}. Check the connection, or pass a file."
            ) from error
    path = checks.expand(text)
    if not path.is_file() or path.suffix not in SUFFIXES:
        raise checks.InputError(
            f"Expected a model of keras.applications, one of the names {', '.join(NAMES)}, or a "
            f"file that ends in {' or '.join(SUFFIXES)}. Received: {text!r}, which is none of "
            f"them. {checks.did_you_mean(text, NAMES) or 'Check the path.'}"
        )
    try:
        config, shapes = keras_files.read(path)
        if config is None:
            with h5py.File(path, "r") as file:
                return _from_weights(file, path)
        _check_class(config.get("registered_name"))
        names = keras_files.list_layers(config)
        _depth(config["config"].get("name", path.name), names)
        keras_files.check_network(config, shapes)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except checks.InputError:
        raise
    except Exception as error:
        raise checks.InputError(
            f"Expected a model that Keras can load in {path}. It cannot ({error}). Save the "
            "model again with `model.save`."
        ) from error


def _from_weights(file, path):
    """A network for a file of weights only, as keras.applications publishes them or Keras 3 saves."""
    if "layers" in file:
        depth, dense = _count_layers(file["layers"], path.name), file["layers"]["dense"]
    else:
        depth, dense = _depth(path.name, set(file)), file.get("predictions", {})
    kernels = [d for d in _datasets(dense) if len(d.shape) == 2]
    classes = kernels[0].shape[1] if kernels else 1000
    model = getattr(keras.applications, f"ResNet{depth}")(weights=None, classes=int(classes))
    model.load_weights(path)
    return model


def _count_layers(layers, name):
    """50, 101 or 152, by how many layers of each class a file of Keras 3 has."""
    counts = Counter(re.sub(r"_\d+$", "", layer) for layer in layers)
    convolutions = counts["conv2d"]
    is_resnet = convolutions == counts["batch_normalization"] and convolutions in CONVOLUTIONS
    if is_resnet and counts["dense"] == 1:
        return CONVOLUTIONS[convolutions]
    if "block" in counts or is_resnet:
        raise checks.InputError(
            f"Expected {', '.join(NAMES)} of keras.applications. Received: {name!r}, weights "
            "without a head. If they belong to a preset, they are loaded with the rest of it: "
            "pass its folder."
        )
    _refuse_layers(name, counts)


def _datasets(group):
    datasets = []
    if hasattr(group, "visititems"):
        group.visititems(lambda _, node: datasets.append(node) if hasattr(node, "shape") else None)
    return datasets
