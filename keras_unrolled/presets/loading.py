"""From a preset to a model: every file is checked before it is opened."""

import math

import keras

from keras_unrolled import checks, convert, files, models
from keras_unrolled.models.character_tokenizer import check_tokenizer
from keras_unrolled.models.limits import at_most
from keras_unrolled.presets import integrity, layout, provenance
from keras_unrolled.presets import record as records
from keras_unrolled.presets.resolve import resolve
from keras_unrolled.presets.weights import load_into, read_shapes

IMAGE, TEXT = map(keras.saving.get_registered_name, (models.ImageClassifier, models.CharacterLM))


def from_preset(
    preset,
    *,
    gating=None,
    num_classes=None,
    labels=None,
    load_weights=True,
    dtype=None,
    revision=None,
    token=None,
    local_files_only=False,
):
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
        model = _from_folder(folder, record, head, load_weights, policy)
    regated = gating is not None and gating != model.backbone.gating
    if regated:
        model = convert.regate(model, gating)
    if load_weights:
        is_copy = not regated and head is None and record is not None
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


def class_names(record):
    """The names of a record's classes, spelt out."""
    if record.label_set is not None:
        checks.one_of("label_set of a record", record.label_set, ("imagenet",))
        return models.imagenet_labels()
    return list(record.labels)


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


def _from_folder(folder, record, head, load_weights, policy):
    """A model from a folder that `save_preset` or KerasHub wrote."""
    needed = [
        layout.TASK,
        *([layout.BACKBONE_WEIGHTS, layout.HEAD_WEIGHTS] if load_weights else []),
    ]
    if record is not None:
        lacking = [name for name in needed if name not in record.files]
        if lacking:
            raise checks.InputError(
                f"Expected the record in {folder} to know {', '.join(needed)}. It does not know "
                f"{', '.join(lacking)}. Restore the record."
            )
        integrity.verify(folder, record)
    elif (folder / layout.GOLDEN).exists():
        raise checks.InputError(
            f"Expected a {layout.RECORD} in {folder}, which `save_preset` wrote. Found none, so "
            "that nothing tells whether the files are whole. Restore the record."
        )
    task = files.read_json(folder / layout.TASK)
    kind = checks.one_of(
        f"registered_name in {folder / layout.TASK}", task.get("registered_name"), (IMAGE, TEXT)
    )
    shapes = {}
    if load_weights:
        shapes = {
            name: read_shapes(folder / name)
            for name in (layout.BACKBONE_WEIGHTS, layout.HEAD_WEIGHTS)
        }
    try:
        config = task["config"]
        config["backbone"]["config"]["dtype"] = keras.dtype_policies.serialize(policy)
        if head is not None:
            config |= head
        elif (
            kind == IMAGE
            and load_weights
            and [config["num_classes"]] not in shapes[layout.HEAD_WEIGHTS]
        ):
            raise checks.InputError(
                f"Expected weights for the {config['num_classes']!r} classes of {folder / layout.TASK} "
                f"in {folder / layout.HEAD_WEIGHTS}. Found others. Restore the folder."
            )
        # No more is allocated than the file can fill.
        limit = (folder / layout.BACKBONE_WEIGHTS).stat().st_size if load_weights else None
        with at_most(limit):
            model = keras.saving.deserialize_keras_object(task)
        if kind == TEXT and model.preprocessor is not None:
            model.preprocessor.tokenizer.load_assets(folder / layout.VOCABULARY)
            check_tokenizer(model.preprocessor.tokenizer, model.backbone, model.vocabulary_size)
    except checks.InputError:
        raise
    except Exception as error:  # whatever a damaged configuration leads to
        raise checks.InputError(
            f"Expected the configuration of a classifier and its backbone in {folder / layout.TASK}. "
            f"Found something else ({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error
    if record is not None and head is None:
        _compare(model, record, folder)
    if load_weights:
        backbone, path = model.backbone, folder / layout.BACKBONE_WEIGHTS
        load_into(backbone.load_weights, path, shapes[path.name], backbone.weights)
        if head is None:
            path, body = folder / layout.HEAD_WEIGHTS, {id(v) for v in backbone.weights}
            rest = [v for v in model.weights if id(v) not in body]
            load_into(model.load_task_weights, path, shapes[path.name], rest)
    return model


def _compare(model, record, folder):
    """Refuses a record that tells of another network than the configuration."""
    found = sum(math.prod(v.shape) for v in model.trainable_variables)
    for what, wanted, got in (
        ("parameters", record.parameters, found),
        ("labels", class_names(record) or None, getattr(model, "labels", None)),
    ):
        if wanted != got:
            raise checks.InputError(
                f"Expected {what} of the record in {folder} to be those of {layout.TASK}. They are "
                "others. The record belongs to another preset: restore it."
            )
