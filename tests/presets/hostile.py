"""What the tests of hostile presets share."""

import json
import resource

import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, files
from keras_unrolled.presets import layout

CALLS: list = []  # of code that no preset may reach


def copy(source, place, forget):
    for path in source.rglob("*"):
        name = path.relative_to(source)
        if path.is_file() and not (forget and name.name in (layout.RECORD, layout.GOLDEN)):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(path.read_bytes())
    return place


def edit(folder, change):
    task = json.loads((folder / layout.TASK).read_text())
    change(task)
    (folder / layout.TASK).write_text(json.dumps(task))


def refused(folder, message):
    """Loads what is to be refused without a foreign call and without much memory."""
    CALLS.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=message):
        ku.from_preset(folder)
    assert CALLS == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def agree(folder, name):
    """Puts the hash of a file into the record."""
    record = json.loads((folder / layout.RECORD).read_text())
    record["files"][name] = files.fingerprint(folder / name)
    (folder / layout.RECORD).write_text(json.dumps(record))
