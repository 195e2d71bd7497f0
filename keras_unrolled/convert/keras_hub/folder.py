"""The folder of a preset that KerasHub wrote."""

import contextlib
import warnings
from pathlib import Path

import keras_hub

from keras_unrolled import checks, files
from keras_unrolled.convert.keras_hub.network import build
from keras_unrolled.models.weight_files import read_arrays

PREFIX = "keras_hub>"
CLASSIFIER, BACKBONE = f"{PREFIX}ResNetImageClassifier", f"{PREFIX}ResNetBackbone"
CONFIG, TASK = "config.json", "task.json"
BODY, SHARDED_BODY, HEAD = "model.weights.h5", "model.weights.json", "task.weights.h5"
# Arguments of their backbone that are needed to build it.
ARGUMENTS = (
    "input_conv_filters",
    "input_conv_kernel_sizes",
    "stackwise_num_filters",
    "stackwise_num_blocks",
    "stackwise_num_strides",
    "block_type",
    "use_pre_activation",
    "image_shape",
)


def is_keras_hub(folder: str | Path) -> bool:
    """Whether a folder is a preset of one of KerasHub's own networks."""
    return any(name.startswith(PREFIX) for name in _registered_names(Path(folder)))


def _registered_names(folder):
    names = []
    for file in (TASK, CONFIG):
        if (folder / file).is_file():
            with contextlib.suppress(checks.InputError):  # whoever loads the folder raises it
                names.append(str(files.read_json(folder / file).get("registered_name")))
    return names


def load(folder, dtype):
    """Our network of a folder's configuration, and theirs with its weights."""
    task = _read_task(folder)
    body = folder / (SHARDED_BODY if (folder / SHARDED_BODY).is_file() else BODY)
    bodies = [body] if body.name == BODY else sorted(folder.glob("model_*.weights.h5"))
    arrays = sum(map(_count_arrays, bodies))
    _count_arrays(folder / HEAD)
    try:
        config = task["config"]
        network = config["backbone"]["config"]
        # No more is allocated than the files can fill.
        sizes = (sum(p.stat().st_size for p in bodies), (folder / HEAD).stat().st_size)
        model = build(config, network, str(folder), dtype, sizes)
        arguments = {name: network[name] for name in ARGUMENTS if name in network}
        backbone = keras_hub.models.ResNetBackbone(
            **arguments, data_format="channels_last", dtype="float32"
        )
        theirs = keras_hub.models.ResNetImageClassifier(
            backbone, model.num_classes, compile=False, name=config.get("name", "classifier")
        )
    except checks.InputError:
        raise
    except Exception as error:  # whatever a damaged configuration leads to
        raise checks.InputError(
            f"Expected the configuration of a ResNetImageClassifier in {folder / TASK}. Found "
            f"something else ({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error
    if arrays != len(backbone.weights):  # Keras does not mind layers that a network does not have
        raise checks.InputError(
            f"Expected the {len(backbone.weights)} variables of the network of {TASK} in {body}. "
            f"Found {arrays}. The file belongs to another network."
        )
    _load_weights(backbone.load_weights, body)
    _load_weights(theirs.load_task_weights, folder / HEAD)
    return model, theirs


def _count_arrays(path):
    """The number of arrays in a file of weights."""
    if not path.is_file():
        raise checks.InputError(
            f"Expected weights in {path}. Found no such file. Is the folder complete?"
        )
    return len(read_arrays(path))


def _load_weights(load, path):
    try:
        with warnings.catch_warnings():  # of files that an earlier Keras wrote
            warnings.simplefilter("ignore")
            load(str(path))
    except Exception as error:
        raise checks.InputError(
            f"Expected the weights of the network of {TASK} in {path}. They cannot be loaded "
            f"({type(error).__name__}: {str(error)[:200]}). Restore the file."
        ) from error


def _read_task(folder):
    """The configuration of a folder's classifier; raises `InputError` for another class."""
    names = _registered_names(folder)
    if names and all(name == BACKBONE for name in names) and not (folder / TASK).exists():
        raise checks.InputError(
            f"Expected a ResNetImageClassifier in {folder}. Found a backbone without a head. Build "
            "keras_hub.models.ResNetImageClassifier(backbone, num_classes=...) and save that."
        )
    task = files.read_json(folder / TASK)
    if task.get("registered_name") != CLASSIFIER:
        raise checks.InputError(
            f"Expected a preset of this package or KerasHub's ResNetImageClassifier in {folder}. "
            f"Found KerasHub's {str(task.get('registered_name')).removeprefix(PREFIX)}. Only "
            "KerasHub's ResNets can be converted."
        )
    return task
