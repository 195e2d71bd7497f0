"""From a preset to a model: every file is checked before it is opened."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_unrolled import checks, convert, models
from keras_unrolled.models.inputs import check_labels
from keras_unrolled.models.policies import get_policy
from keras_unrolled.presets import layout, provenance
from keras_unrolled.presets import record as records
from keras_unrolled.presets.backbone_options import (
    BIASES,
    NEUTRAL,
    apply_options,
    check_biases,
    check_options,
)
from keras_unrolled.presets.folder import class_names, load_folder
from keras_unrolled.presets.resolve import resolve


def from_preset(
    preset: str | Path,
    *,
    gating: str | None = None,
    num_classes: int | None = None,
    labels: Sequence[str] | None = None,
    load_weights: bool = True,
    dtype: Any = None,
    revision: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    **options: Any,
) -> Any:
    """Loads a preset: a classifier of uint8 images of any size, or a language model.

    Args:
        preset: the name of a preset; the path of a preset's folder; `hf://org/name`,
            `hf://org/name@revision` or the address of the page of a repository on the Hugging Face
            Hub, which may be one of timm's residual nets, as in "hf://timm/resnet50.a1_in1k" or
            "https://huggingface.co/timm/resnet50.a1_in1k"; a folder in
            timm's layout or of KerasHub's `ResNetImageClassifier`; a `.keras` or `.h5` file of
            `keras.applications`; or the state dict of a ResNet of PyTorch, as a `.safetensors`
            file or, with torch installed, as a `.pth`, `.pt` or `.th` file. The functions of
            `keras_unrolled.convert` that read these have more options, such as
            `convert.from_torch(path, padding="last")`.
        gating: optional string; a Residual net is turned into a Highway net of this gating
            that computes the same (`convert.regate`).
        num_classes: optional int; gives the network a new, random head of so many classes,
            for fine-tuning.
        labels: optional list of strings, the names of the new head's classes; implies
            `num_classes`.
        load_weights: bool; without, the network has random weights.
        dtype: optional dtype policy of the computation, such as "mixed_bfloat16"; None
            means Keras's current one, float32 if nobody has set it.
        revision: optional string, a repository's branch, tag or commit.
        token: optional string, for a private repository.
        local_files_only: bool, whether a repository must be in the cache already.
        **options: arguments of `ImageBackbone` that keep the shapes of the weights:
            `momentum` and `layer_dropout_unit`, which do not change the scores; `image_shape`
            (whose height and width the preprocessor takes over), `layer_dropout` (which weakens
            each block by its probability outside of training, too), `epsilon`, `mix_relu`,
            `transform_relu`, `stride_conv` and `stackwise_num_strides`, which do; and, with
            `gating`, `transform_bias` and `carry_bias` of `convert.regate`.

    Returns:
        An `ImageClassifier`, a `keras_hub.models.ImageClassifier`, compiled with
        KerasHub's defaults; or a `CharacterLM`, a `keras_hub.models.CausalLM`.

    Raises:
        InputError: if there is no such preset, if it has no weights, if a file is missing,
            damaged or not the one that the record describes, if the weights do not fit the
            network, if the gating cannot be reached, or for an option that would change the
            shapes of the weights.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.from_preset("resnet_nobn_cifar10")
        >>> scores = model.predict(ku.data.load_sample().images[:2], verbose=0)
        >>> scores.shape, len(model.decode(scores, top=1))
        ((2, 10), 2)
    """
    policy = get_policy(dtype)
    for name, value in (("load_weights", load_weights), ("local_files_only", local_files_only)):
        checks.flag(name, value)
    check_options(options, inspect.signature(from_preset))
    biases = {name: options.pop(name) for name in BIASES if name in options}
    if labels is not None:
        labels = check_labels(labels, num_classes)
        num_classes = len(labels) if num_classes is None else num_classes
    head = None if num_classes is None else {"num_classes": num_classes, "labels": labels}
    folder, record = resolve(
        preset,
        weights=load_weights,
        revision=revision,
        token=token,
        local_files_only=local_files_only,
    )
    if record is not None and record.task == records.TEXT:
        _reject_for_text({"gating": gating, "num_classes": num_classes, **options, **biases})
    model = _load(folder, record, head, load_weights, policy)
    is_copy = head is None and record is not None and options.keys() <= set(NEUTRAL)
    if options:
        model = apply_options(model, options)
    if gating is not None and gating != model.backbone.gating:
        check_biases(biases, gating)
        model, is_copy = convert.regate(model, gating, **biases), False
    elif biases:
        raise checks.InputError(
            f"Expected {' or '.join(biases)} only with a gating that the weights are converted to. "
            f"Received: {', '.join(f'{k}={v!r}' for k, v in biases.items())} for a network of the "
            f"gating {model.backbone.gating!r}, whose biases are loaded. Leave them out."
        )
    if load_weights:
        provenance.note(model, str(preset), folder, record, is_copy)
    return model


def _reject_for_text(arguments):
    """Raises `InputError` for arguments that a language model does not take."""
    given = [f"{name}={value!r}" for name, value in arguments.items() if value is not None]
    if given:
        raise checks.InputError(
            "Expected no gating, classes or options of an image network for a language model. "
            f"Received: {', '.join(given)}. Leave them out."
        )


def _load(folder, record, head, load_weights, policy):
    """The model of a folder or file, or of a record alone where `folder` is None."""
    if folder is None:
        return _replace_head(from_record(record, dtype=policy), head)
    if folder.is_dir() and convert.timm.is_timm(folder):
        model = convert.from_timm(folder, load_weights=load_weights, dtype=policy)
        if record is not None and record.network["gating"] != model.backbone.gating:
            model = convert.regate(model, record.network["gating"])
        return _replace_head(model, head)
    # What has a record is this package's: nothing is opened before its hash is compared.
    if folder.is_dir() and (record is not None or not convert.keras_hub.is_keras_hub(folder)):
        _reject_loose_weights(folder)
        return load_folder(folder, record, head, load_weights, policy)
    model = _convert(folder, policy)
    if not load_weights:
        model = type(model).from_config(model.get_config())
    return _replace_head(model, head)


def _reject_loose_weights(folder):
    """Raises `InputError` for a folder that is no preset but has files that could be passed."""
    if (folder / layout.TASK).exists():
        return
    found = sorted(p.name for p in folder.iterdir() if p.name.endswith(convert.state_dict.SUFFIXES))
    if found:
        raise checks.InputError(
            f"Expected the folder of a preset, with {layout.TASK}. Found none in {folder}, but "
            f"{', '.join(found[:4])}. Pass the path of the file."
        )


def _convert(source, policy):
    """The model of another library's folder or file."""
    if source.is_dir():
        return convert.from_keras_hub(source, dtype=policy)
    if source.name.endswith(convert.state_dict.SUFFIXES):
        return convert.from_torch(source, dtype=policy)
    if source.suffix in convert.keras_applications.SUFFIXES:
        return convert.from_keras_applications(source, dtype=policy)
    suffixes = (*convert.state_dict.SUFFIXES, *convert.keras_applications.SUFFIXES)
    raise checks.InputError(
        f"Expected a preset's folder, or weights in a file that ends in {', '.join(suffixes)}. "
        f"Received the file {source}. Check the name."
    )


def from_record(record, *, dtype=None):
    """The network that a record describes, with random weights."""
    if record.task == records.TEXT:
        network = dict(record.network)
        words = network.pop("vocabulary_size", None)
        return models.CharacterLM(models.CharacterBackbone(**network, dtype=dtype), words)
    names = class_names(record)
    converter = models.ImageConverter(
        **record.preprocessing, dtype="float32", name="image_converter"
    )
    return models.ImageClassifier(
        models.ImageBackbone(**record.network, dtype=dtype),
        len(names),
        labels=names,
        preprocessor=models.ImageClassifierPreprocessor(converter, name="preprocessor"),
    )


def _replace_head(model, head):
    if head is None:
        return model
    return models.ImageClassifier(model.backbone, **head, preprocessor=model.preprocessor)
