"""Loads a preset in a process of its own, for HF_ENDPOINT is read at import: see test_hub.py.

    python hub_client.py URI KEYWORDS.json IMAGES.npy OUT.npy [CHANGES.json]

CHANGES are to the records of named presets: `{"name": {"source": ...}}`. Prints the error and
ends with code 2 where the preset is refused; prints the seconds that it took.
"""

import dataclasses
import json
import os
import pathlib
import sys
import time

import numpy as np

import keras_unrolled as ku
from keras_unrolled import paths
from keras_unrolled.presets import catalog, loading  # noqa: F401  so that Keras is not timed

if __name__ == "__main__":
    uri, keywords, images, out, *changes = sys.argv[1:]
    found = catalog.all_presets()
    if "KERAS_UNROLLED_TEST_BARE" in os.environ:  # an installation without weights
        paths.zoo = lambda: pathlib.Path(os.devnull)
    for name, change in json.loads(changes[0] if changes else "{}").items():
        change = {k: tuple(v) if isinstance(v, list) else v for k, v in change.items()}
        found[name] = dataclasses.replace(found[name], **change)
    began = time.perf_counter()
    try:
        model = ku.from_preset(uri, **json.loads(keywords))
    except ku.InputError as error:
        print(error, file=sys.stderr)
        print(time.perf_counter() - began)
        sys.exit(2)
    print(time.perf_counter() - began)
    scores = model.predict(np.load(images), verbose=0)
    np.save(out, scores)
    print(json.dumps(model.decode(scores, top=1)))
