"""A model from the folder of a preset: files are checked first, then the network is built."""

import math

import keras

from keras_unrolled import checks, files, models
from keras_unrolled.layers.initial import awaiting_weights
from keras_unrolled.models.character_tokenizer import check_tokenizer
from keras_unrolled.models.limits import at_most
from keras_unrolled.models.weight_files import read_arrays
from keras_unrolled.presets import integrity, layout
from keras_unrolled.presets.configuration import check_task
from keras_unrolled.presets.weights import find_places, load_into

CLASSES = {
    keras.saving.get_registered_name(cls): cls
    for cls in (models.ImageClassifier, models.CharacterLM)
}
TEXT = keras.saving.get_registered_name(models.CharacterLM)


def class_names(record):
    """The names of a record's classes, spelt out."""
    if record.label_set is not None:
        checks.one_of("label_set of a record", record.label_set, ("imagenet",))
        return models.imagenet_labels()
    return list(record.labels)


def load_folder(folder, record, head, load_weights, policy):
    """A model from a folder that `save_preset` or KerasHub wrote.

    Args:
        folder: path of the folder.
        record: its `Record`, or None.
        head: dict with "num_classes" and "labels" of a new head, or None.
        load_weights: bool; without, the weights are random.
        policy: dtype policy of the computation.

    Raises:
        InputError: for the first file that is missing, damaged or of another network.
    """
    _check_files(folder, record, load_weights)
    task = files.read_json(folder / layout.TASK)
    kind = task.get("registered_name")
    kind = kind[:100] if isinstance(kind, str) else f"a {type(kind).__name__}"
    checks.one_of(f"registered_name in {folder / layout.TASK}", kind, CLASSES)
    arrays = {
        name: read_arrays(folder / name)
        for name in (layout.BACKBONE_WEIGHTS, layout.HEAD_WEIGHTS)
        if load_weights or (folder / name).is_file()
    }
    try:
        task = check_task(task, CLASSES[kind])
        with awaiting_weights(load_weights):
            model = _build(folder, record, task, head, arrays, policy)
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
        _load_weights(model, folder, arrays, with_head=head is None)
    return model


def _check_files(folder, record, load_weights):
    """Compares the files with the record, which is required where `save_preset` wrote them."""
    needed = [layout.TASK]
    needed += [layout.BACKBONE_WEIGHTS, layout.HEAD_WEIGHTS] if load_weights else []
    if record is not None:
        _check_listed(folder, record, needed)
        integrity.verify(folder, record)
    elif (folder / layout.GOLDEN).exists():
        raise checks.InputError(
            f"Expected a {layout.RECORD} in {folder}, which `save_preset` wrote. Found none, so "
            "that the files cannot be checked. Restore the record."
        )


def _check_listed(folder, record, needed):
    missing = [name for name in needed if name not in record.files]
    if missing:
        raise checks.InputError(
            f"Expected the record in {folder} to list {', '.join(needed)}. It does not list "
            f"{', '.join(missing)}. Restore the record."
        )


def _build(folder, record, task, head, arrays, policy):
    """The network of a checked configuration, with random weights."""
    config = task["config"]
    config["backbone"]["config"]["dtype"] = keras.dtype_policies.serialize(policy)
    if head is None and config.get("labels") and len(config["labels"]) != config["num_classes"]:
        raise checks.InputError(
            f"Expected one label for each of {config['num_classes']!r} classes in "
            f"{folder / layout.TASK}. Found {len(config['labels'])} labels. Restore the file."
        )
    is_text = task["registered_name"] == TEXT
    if arrays:
        shapes = {name: [a.shape for a in found.values()] for name, found in arrays.items()}
        _check_shapes(folder, config, is_text, head is None, shapes)
    if head is not None:
        config |= head
    # No more is allocated than the files can fill.
    limit = sum((folder / name).stat().st_size for name in arrays) if arrays else None
    with at_most(limit):
        model = keras.saving.deserialize_keras_object(task)
    if is_text and model.preprocessor is not None:
        vocabulary = f"{layout.VOCABULARY}/{model.preprocessor.tokenizer.FILE}"
        if record is not None:
            _check_listed(folder, record, [vocabulary])
        files.read_json(folder / vocabulary)  # not larger than it may be
        model.preprocessor.tokenizer.load_assets(folder / layout.VOCABULARY)
        check_tokenizer(model.preprocessor.tokenizer, model.backbone, model.vocabulary_size)
    return model


def _check_shapes(folder, config, is_text, with_head, shapes):
    """Rejects a configuration that the files have no weights for, before its arrays are made."""
    wanted, depth = _list_large(config["backbone"]["config"], is_text)
    heads = [[config["vocabulary_size" if is_text else "num_classes"]]] if with_head else []
    for name, arrays in ((layout.BACKBONE_WEIGHTS, wanted), (layout.HEAD_WEIGHTS, heads)):
        missing = [array for array in arrays if array not in shapes.get(name, arrays)]
        if missing:
            raise checks.InputError(
                f"Expected an array of shape {str(missing[0])[:100]} in {folder / name}, for the "
                f"configuration in {folder / layout.TASK}. Found none. The file belongs to another "
                "network: restore the folder."
            )
    found = len(shapes.get(layout.BACKBONE_WEIGHTS, range(depth)))
    if depth > found:
        raise checks.InputError(
            f"Expected weights of {depth:,} blocks or layers, as in {folder / layout.TASK}, in "
            f"{folder / layout.BACKBONE_WEIGHTS}. Found {found:,} arrays. The file belongs to another "
            "network: restore the folder."
        )


def _list_large(backbone, is_text):
    """Shapes of the arrays that no limit of weights covers, and the number of blocks or layers."""
    if not is_text:  # its kernels are counted: see `models.limits`
        return [], sum(backbone["stackwise_num_blocks"])
    units, layers = backbone["units"], backbone["num_layers"]
    features, size = sum(backbone["num_filters"]), backbone["character_dim"]
    arrays = [[backbone["num_characters"], size], [features, 4 * units], [units, 4 * units]]
    arrays += [[features, features]] if layers else []
    for width, count in zip(backbone["filter_widths"], backbone["num_filters"]):
        arrays.append([width, size, count])
    return arrays, layers + backbone["num_recurrent_layers"]


def _load_weights(model, folder, arrays, with_head):
    """Loads the weights of the backbone and, unless it is new, of the head."""
    backbone, path = model.backbone, folder / layout.BACKBONE_WEIGHTS
    places = find_places(backbone)
    load_into(backbone.load_weights, path, arrays[path.name], backbone.weights, places)
    if with_head:
        path, body = folder / layout.HEAD_WEIGHTS, {id(v) for v in backbone.weights}
        rest = [v for v in model.weights if id(v) not in body]
        places = {k: v for k, v in find_places(model).items() if id(v) not in body}
        load_into(model.load_task_weights, path, arrays[path.name], rest, places)


def _compare(model, record, folder):
    """Rejects a record that describes another network than the configuration."""
    count = sum(math.prod(v.shape) for v in model.trainable_variables)
    for what, recorded, found in (
        ("parameters", record.parameters, count),
        ("labels", class_names(record) or None, getattr(model, "labels", None)),
    ):
        if recorded != found:
            raise checks.InputError(
                f"Expected {what} of the record in {folder} to be those of {layout.TASK}. They are "
                "others. The record belongs to another preset: restore it."
            )
