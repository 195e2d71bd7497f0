"""The presets that have a name."""

import dataclasses
import fnmatch
from functools import cache

from keras_unrolled import files, paths
from keras_unrolled.presets import layout
from keras_unrolled.presets import record as records
from keras_unrolled.presets.summary import make_table


@cache
def all_presets():
    """Every preset that has a name: a dict from name to `Record`.

    Each has its record in `records/NAME.json`. Those with weights in this installation have a
    folder `checkpoints/NAME/`; `hub.json` gives the repository and commit that a name stands for.
    """
    zoo = paths.zoo()
    places = sorted((zoo / "records").glob("*.json"))
    # These win: a record is written from its checkpoint, and may be older.
    places += sorted((zoo / "checkpoints").glob("*/" + layout.RECORD))
    by_name = {record.name: record for record in map(records.Record.read, places)}
    pins = zoo / "hub.json"
    for name, pin in (files.read_json(pins) if pins.exists() else {}).items():
        if name in by_name:
            by_name[name] = dataclasses.replace(by_name[name], **pin)
    return dict(sorted(by_name.items()))


class PresetList(list):
    """A list of records that prints as a table."""

    def __str__(self):
        return make_table(self)

    __repr__ = __str__


def list_presets(pattern: str = "*", *, dataset: str | None = None) -> PresetList:
    """The presets whose names match a pattern.

    Args:
        pattern: shell-style pattern of a name, such as "highway*".
        dataset: optional string; only presets for this data set, "cifar10", "imagenet2012" (or
            "imagenet") or "ptb".

    Returns:
        A list of `Record`s, by name, that prints as a table.

    Example:
        >>> import keras_unrolled as ku
        >>> [record.name for record in ku.list_presets("resnet_nobn*")]
        ['resnet_nobn_cifar10', 'resnet_nobn_imagenet']
    """
    dataset = "imagenet2012" if dataset == "imagenet" else dataset
    return PresetList(
        record
        for name, record in all_presets().items()
        if fnmatch.fnmatchcase(name, pattern) and dataset in (None, record.dataset)
    )
