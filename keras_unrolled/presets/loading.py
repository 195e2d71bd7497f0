"""From a preset to a model: every file is checked before it is opened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_unrolled import checks, convert, models
from keras_unrolled.presets import provenance
from keras_unrolled.presets import record as records
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
) -> Any:
    """Loads a preset: a classifier of uint8 images of any size, or a language model.

    Args:
        preset: the name of a preset; the path of a preset's folder; `hf://org/name` or
            `hf://org/name@revision` of a repository on the Hugging Face Hub, which may be
            one of timm's residual nets, as in "hf://timm/resnet50.a1_in1k"; a folder in
            timm's layout; or a `.keras` or `.h5` file of `keras.applications`.
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

    Returns:
        An `ImageClassifier`, a `keras_hub.models.ImageClassifier`, compiled with
        KerasHub's defaults; or a `CharacterLM`, a `keras_hub.models.CausalLM`.

    Raises:
        InputError: if there is no such preset, if it has no weights, if a file is missing,
            damaged or not the one that the record describes, if the weights do not fit the
            network, or if the gating cannot be reached.
    """
    policy = _policy(dtype)
    if labels is not None:
        labels = list(labels)
        num_classes = len(labels) if num_classes is None else num_classes
    head = None if num_classes is None else {"num_classes": num_classes, "labels": labels}
    folder, record = resolve(
        preset,
        weights=load_weights,
        revision=revision,
        token=token,
        local_files_only=local_files_only,
    )
    is_text = record is not None and record.task == records.TEXT
    if is_text and not gating == num_classes == labels:
        raise checks.InputError(
            f"Expected no gating, num_classes or labels for a language model. Received: gating="
            f"{gating!r}, num_classes={num_classes!r}. Leave them out."
        )
    if folder is None:
        model = _replace_head(from_record(record, dtype=policy), head)
    elif folder.is_file():
        model = _replace_head(convert.from_keras_applications(folder, dtype=policy), head)
    elif convert.timm.is_timm(folder):
        model = convert.from_timm(folder, load_weights=load_weights, dtype=policy)
        if record is not None and record.network["gating"] != model.backbone.gating:
            model = convert.regate(model, record.network["gating"])
        model = _replace_head(model, head)
    else:
        model = load_folder(folder, record, head, load_weights, policy)
    is_copy = head is None and record is not None
    if gating is not None and gating != model.backbone.gating:
        model, is_copy = convert.regate(model, gating), False
    if load_weights:
        provenance.note(model, str(preset), folder, record, is_copy)
    return model


def _policy(dtype):
    try:
        return keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"Expected a dtype policy, such as 'float32' or 'mixed_bfloat16'. Received: "
            f"dtype={dtype!r}. Leave it out for Keras's current one."
        ) from error


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
