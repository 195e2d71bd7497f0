"""From a model to a preset's folder: written aside, then renamed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_unrolled import checks, files, models
from keras_unrolled.presets import golden, layout, provenance
from keras_unrolled.presets import record as records
from keras_unrolled.presets.catalog import all_presets
from keras_unrolled.presets.describing import describe


def save_preset(
    model: Any,
    folder: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    extras: Callable[[Path], object] | None = None,
    half: bool = False,
    **facts: Any,
) -> records.Record:
    """Writes a preset's folder: configurations, weights and record.

    The folder is KerasHub's, so that `from_preset` of its `ImageClassifier` or `CausalLM` reads it
    too. The optimizer's state, frozen layers and mixed precision are left out. The folder appears
    complete or not at all.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        folder: path of the folder to make.
        name: the preset's name; defaults to the folder's.
        overwrite: bool, whether an existing preset may be replaced.
        extras: optional function of the folder's path, called before the record is written; the
            files that it writes are not part of the preset.
        half: bool, whether weights are rounded to float16 and stored so.
        **facts: further entries of the record: "description", "metrics", "training",
            "license", "papers", "dataset", "origin". By default license, source and origin follow
            from what the model was loaded from: see `presets.provenance`.

    Returns:
        The `Record`.

    Raises:
        InputError: if the folder exists and may not be replaced, or is not a preset; for an unknown
            entry, a model of another kind or a quantized one, and for weights that are not finite.

    Example:
        >>> import tempfile
        >>> import keras_unrolled as ku
        >>> model = ku.models.resnet(8, dataset="cifar", num_classes=2, labels=["no", "yes"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record = ku.save_preset(model, f"{folder}/answers")
        ...     again = ku.from_preset(f"{folder}/answers")
        >>> record.name, record.labels
        ('answers', ('no', 'yes'))
    """
    if not isinstance(model, (models.ImageClassifier, models.CharacterLM)):
        raise checks.InputError(
            "Expected a model of this package, an ImageClassifier or a CharacterLM. Received a "
            f"{type(model).__name__}. Save others with model.save(path)."
        )
    checks.flag("overwrite", overwrite)
    checks.flag("half", half)
    checks.check_names(
        facts, (each.name for each in dataclasses.fields(records.Record)), "save_preset"
    )
    facts = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    folder = check_target(folder, overwrite=overwrite)
    files.check_room(folder, 2**20 + 5 * model.count_params())  # float32, and a little more
    facts = provenance.inherit(model, facts)
    with files.written_aside(folder) as aside:
        model = portable(model, half=half)
        model.save_to_preset(str(aside))
        if half:
            for path in aside.glob("*.weights.h5"):
                _halve(path)
        golden.write(model, aside / layout.GOLDEN)
        fingerprints = {
            path.relative_to(aside).as_posix(): files.fingerprint(path)
            for path in sorted(aside.rglob("*"))
            if path.is_file()
        }
        if extras is not None:
            extras(aside)
        record = describe(model, name or folder.name, fingerprints, **facts)
        record.write(aside / layout.RECORD)
    return records.Record.read(folder / layout.RECORD)


def check_target(folder, *, overwrite):
    """The path of a preset's folder to make, without links in it.

    Raises:
        InputError: for a folder that cannot be written or must not be replaced.
    """
    if not isinstance(folder, (str, Path)):
        raise checks.InputError(
            f"Expected the path of a folder to make. Received: {folder!r:.80}. Pass a string or a Path."
        )
    if str(checks.expand(folder)) in all_presets():
        raise checks.InputError(
            f"Expected a folder of another name than a preset's, by which {folder} would not be found "
            f"again. Choose another, such as my_{folder}."
        )
    files.check_writable(folder)
    folder = checks.expand(folder).resolve()
    files.check_writable(folder.parent)
    if not folder.name or folder.is_mount():
        raise checks.InputError(
            f"Expected a new folder for the preset. {folder} is the root of a disk, which cannot be "
            "replaced. Choose a folder in it."
        )
    records.check_name(folder.name)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not (folder / layout.RECORD).is_file():
        raise checks.InputError(
            f"Expected a new folder for the preset. Found something else at {folder}. "
            "Choose another folder."
        )
    if not overwrite:
        raise checks.InputError(
            f"Expected a new folder for the preset. Found one at {folder}. "
            "Choose another folder, or pass --overwrite (in Python: overwrite=True)."
        )
    return folder


def _halve(path):
    """Rewrites a weights file with float16 instead of float32."""
    with files.replaced(path) as aside, h5py.File(path) as old, h5py.File(aside, "w") as new:

        def copy(name, node):
            if isinstance(node, h5py.Dataset):
                new[name] = node[()].astype("float16") if node.dtype == "float32" else node[()]
            else:
                new.require_group(name)
            new[name].attrs.update(node.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)


def portable(model, *, half=False):
    """A copy of a model without optimizer, in its variables' dtype, with all layers trainable.

    Args:
        model: an `ImageClassifier` or a `CharacterLM`.
        half: bool, whether weights are rounded to float16.

    Raises:
        InputError: for a quantized model, and for weights that are not finite.
    """
    for layer in model._flatten_layers():
        if isinstance(layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy):
            raise checks.InputError(
                f"Expected a model in floating point. Received one whose layer {layer.name!r} is "
                "quantized. Save it before, and call `quantize` on what `from_preset` returns."
            )
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(keras.ops.cast(variable.value, "float32"))
        if not np.isfinite(values).all():
            raise checks.InputError(
                f"Expected finite weights. Received NaN or infinity in {variable.path}: the "
                "training has failed. Return to an earlier state and lower the learning rate."
            )
    config = model.get_config()
    backbone = config["backbone"]["config"]
    backbone["trainable"] = True
    backbone["dtype"] = keras.dtype_policies.serialize(
        keras.DTypePolicy(model.backbone.dtype_policy.variable_dtype)
    )
    if isinstance(model, models.CharacterLM):
        # The vocabulary is not part of the configuration, so the tokenizer itself is passed on.
        copy = type(model).from_config({**config, "preprocessor": None})
        copy.preprocessor = model.preprocessor
    else:
        copy = type(model).from_config({**config, "compile": False})
    for ours, theirs in zip(copy.variables, model.variables, strict=True):
        values = keras.ops.convert_to_numpy(theirs)
        if half and values.dtype == np.float32:
            values = values.astype("float16").astype("float32")
            if not np.isfinite(values).all():
                raise checks.InputError(
                    f"Expected weights that float16 can hold, below 65,504. {theirs.path} has larger "
                    "ones. Save with half=False."
                )
        ours.assign(values)
    if hasattr(model, "provenance"):
        copy.provenance = model.provenance
    return copy
