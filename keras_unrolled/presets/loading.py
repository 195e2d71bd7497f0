"""From a preset to a model: every file is checked before it is opened."""

import h5py
import keras
import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.presets import record as records
from keras_unrolled.presets import registry

TASK, BACKBONE_WEIGHTS, HEAD_WEIGHTS = "task.json", "model.weights.h5", "task.weights.h5"
CLASSES = {keras.saving.get_registered_name(models.ImageClassifier): models.ImageClassifier}


def from_preset(
    preset,
    *,
    num_classes=None,
    labels=None,
    load_weights=True,
    dtype=None,
    revision=None,
    token=None,
    local_files_only=False,
):
    """Loads a preset as a classifier: uint8 images of any size in, class scores out.

    Args:
        preset: the name of a preset, the path of a preset's folder, or `hf://org/name` or
            `hf://org/name@revision` of a repository on the Hugging Face Hub.
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
        KerasHub's defaults.

    Raises:
        InputError: if there is no such preset, if a file is missing, damaged or not the one
            that the record describes, or if the weights do not fit the network.
    """
    folder, record = registry.resolve(
        preset, revision=revision, token=token, local_files_only=local_files_only
    )
    if record is not None:
        records.verify(folder, record)
    task = records.read_json(folder / TASK)
    checks.one_of(f"registered_name in {folder / TASK}", task.get("registered_name"), CLASSES)
    try:
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    except (TypeError, ValueError) as error:
        raise checks.InputError(
            f"Expected a dtype policy, such as 'float32' or 'mixed_bfloat16'. Received: "
            f"dtype={dtype!r}. Leave it out for Keras's current one."
        ) from error
    try:
        config = task["config"]
        config["backbone"]["config"]["dtype"] = keras.dtype_policies.serialize(policy)
    except (KeyError, TypeError) as error:
        raise checks.InputError(
            f"Expected the configuration of a classifier and its backbone in {folder / TASK}. "
            f"Found none ({error!r}). Restore the file."
        ) from error
    if labels is not None:
        labels = list(labels)
        num_classes = len(labels) if num_classes is None else num_classes
    if num_classes is not None:
        config |= {"num_classes": num_classes, "labels": labels}
    model = keras.saving.deserialize_keras_object(task)
    if load_weights:
        _load(model.backbone, folder / BACKBONE_WEIGHTS, model.backbone.load_weights, [])
        if num_classes is None:
            skipped = model.backbone.variables
            _load(model, folder / HEAD_WEIGHTS, model.load_task_weights, skipped)
    return model


def _load(model, path, load, skipped):
    """Loads a weights file into the variables of `model` but the `skipped` ones."""
    if not path.is_file():
        raise checks.InputError(
            f"Expected weights in {path}. Found no such file. Restore it, or pass "
            "load_weights=False for random weights."
        )
    passed = {id(variable) for variable in skipped}
    wanted = sorted(tuple(v.shape) for v in model.variables if id(v) not in passed)
    try:
        found = _shapes(path)
    except OSError as error:
        raise checks.InputError(
            f"Expected an HDF5 file of weights in {path}. Found one that cannot be read "
            f"({error}). Restore it."
        ) from error
    if sorted(found) != wanted:
        raise checks.InputError(
            f"Expected the {len(wanted)} variables of the network in {path}. Found "
            f"{len(found)}, of other number or shape. The file belongs to another network."
        )
    load(str(path))
    for variable in model.variables:
        values = np.asarray(keras.ops.convert_to_numpy(variable.value))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise checks.InputError(
                f"Expected finite weights in {path}. Found NaN or infinity in "
                f"{variable.path}. The file is damaged or its training failed: take another."
            )


def _shapes(path):
    shapes = []

    def visit(_, node):
        if isinstance(node, h5py.Dataset):
            shapes.append(tuple(node.shape))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return shapes
