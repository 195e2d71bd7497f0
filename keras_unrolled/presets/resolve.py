"""From a name, folder or address to the files of a preset."""

from pathlib import Path

from keras_unrolled import checks, paths, preset_names
from keras_unrolled.presets import hub, integrity, layout
from keras_unrolled.presets import record as records
from keras_unrolled.presets.catalog import all_presets
from keras_unrolled.presets.record import Record


def resolve(preset, *, weights=True, revision=None, token=None, local_files_only=False):
    """Finds a preset's files and its record.

    The name of a preset stands for that preset, whatever folders there are: `./NAME` is a folder of
    that name. A name is looked for in the package, in the local cache and on the Hub, in this order.
    What is fetched has been compared with the hashes that the Hub states; the record's own are for the
    caller to compare (`record.verify`).

    Args:
        preset: path of a preset's folder, of a folder in the layout of timm or KerasHub, or of a
            file of weights of PyTorch or keras.applications; the name of a preset; or
            `hf://org/name` or the address of its page, `https://huggingface.co/org/name`.
        weights: bool; without, a name's record is enough and nothing is fetched.
        revision: optional string, a repository's branch, tag or commit.
        token: optional string, for a private repository.
        local_files_only: bool, whether to look into the cache only.

    Returns:
        A path, or None where only the record is needed; and a `Record`, or None for what
        was not written by `save_preset`.

    Raises:
        InputError: if there is no such preset, if it has no weights, or if it cannot be
            fetched.
    """
    text = str(checks.named("the preset", preset))
    options = {"token": token, "local_files_only": local_files_only}
    if hub.is_address(text):
        place = hub.fetch(text, revision=revision, **options)
    elif revision:
        raise checks.InputError(
            "Expected a revision for a repository only. Received: revision="
            f"{revision!r} for {text!r}. Leave it out, or load hf://org/name."
        )
    else:
        place = None if text in all_presets() else _find_path(text)
    if place is not None:
        path = place / layout.RECORD
        return place, records.Record.read(path) if place.is_dir() and path.exists() else None
    if text not in all_presets():
        raise _unknown(text)
    record = all_presets()[text]
    shipped = paths.zoo() / "checkpoints" / text
    if shipped.is_dir():
        return shipped, record
    if not weights:
        return None, record
    if record.repository:
        folder = hub.fetch(
            f"{hub.SCHEME}{record.repository}",
            revision=record.revision,
            sizes=record.sizes(),
            **options,
        )
        return folder, record if record.files else records.Record.read(folder / layout.RECORD)
    if record.origin == "regated":
        return _fetch_source(record, **options), record
    if record.origin == "trained":
        size = sum(record.sizes().values()) / 1e6
        raise checks.InputError(
            f"Expected a preset whose weights are in this installation. Those of {text!r} are too "
            f"large for it ({size:.0f} MB) and are not published yet. Pass the folder "
            f"zoo/checkpoints/{text} of the source repository instead of the name, or train it "
            f"with `{record.training['command']}`."
        )
    raise checks.InputError(
        f"Expected a preset with weights. {text!r} has not been trained yet. Train it with "
        f"`{record.training['command']}`, or build it with random weights (in Python: load_weights=False)."
    )


def _find_path(text):
    """The folder or file that a text names, or None."""
    try:
        path = checks.expand(text)
        return path if path.is_dir() or path.is_file() else None
    except PermissionError as error:
        raise checks.InputError(
            f"Expected to read {text}. It failed: {error}. Correct the permissions."
        ) from error
    except OSError:  # too long for a path
        return None


def _unknown(text):
    """The error for a text that names nothing."""
    from keras_unrolled import convert  # and Keras

    hint = hub.suggest(text)
    close = "" if hint else checks.did_you_mean(text, all_presets())
    shown = repr(text) if len(text) <= 200 else f"{text[:100]!r}... ({len(text):,} characters)"
    suffixes = (*convert.state_dict.SUFFIXES, *convert.keras_applications.SUFFIXES)
    # No name has a dot, but that of a repository may.
    if text.endswith(suffixes) or (Path(text).suffix and not close and not hint):
        return checks.InputError(
            f"Expected weights in {shown}. Found no such file or folder. Check the path."
        )
    return checks.InputError(
        f"Expected the name of a preset, a preset's folder or hf://org/name. Received: {shown}, "
        f"which is none of them. {hint or close or 'Check the spelling.'} keras-unrolled list shows "
        f"all {len(all_presets())} names."
    )


def _fetch_source(record, **hub_options):
    """The checkpoint that a regated preset is converted from, compared with the record."""
    source = record.source
    known = source.get("files", {})
    folder = hub.fetch(
        f"{hub.SCHEME}{source['repository']}",
        revision=source.get("revision"),
        sizes={name: facts["size"] for name, facts in known.items()} or None,
        **hub_options,
    )
    integrity.verify_files(folder, known, source["repository"])
    return folder


def load_record(preset: str | Path) -> Record:
    """The record of a preset, by its name, folder or address.

    Raises:
        InputError: if there is no such preset, or it has no record.

    Example:
        >>> import keras_unrolled as ku
        >>> record = ku.load_record("resnet_bn_cifar10")
        >>> record.parameters, record.network["gating"], record.score("cifar10")
        (269722, 'residual', 0.921)
    """
    if str(preset) in all_presets():
        return all_presets()[str(preset)]
    folder, record = resolve(preset)
    if record is None:
        raise checks.InputError(
            f"Expected a {layout.RECORD} in {folder}. Found none: it is not a preset's folder that "
            "`save_preset` has written. If `from_preset` loads it, save it again."
        )
    return record


def _find_named(preset):
    """The folder of a preset's name, or None for a path or an address.

    Raises:
        InputError: for a name that no preset has.
    """
    if any(c in preset for c in "/\\:") or (
        preset not in all_presets() and checks.expand(preset).exists()
    ):
        return None
    return resolve(preset)[0]


def _list_task(task):
    """The presets of a task that can be loaded, as KerasHub's classes list them."""
    return {
        name: {"metadata": {"description": record.description, "params": record.parameters}}
        for name, record in all_presets().items()
        if record.task == task and record.has_weights
    }


preset_names.register(_find_named, _list_task)
