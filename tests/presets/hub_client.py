"""Loads a preset in a process of its own, for HF_ENDPOINT is read at import: see test_hub.py.

    python hub_client.py URI KEYWORDS.json IMAGES.npy OUT.npy [CHANGES.json]

CHANGES are to the records of named presets: `{"name": {"source": ...}}`. Prints the error and
exits with code 2 if the preset is rejected; prints the seconds that it took. With
KERAS_UNROLLED_TEST_VERIFY in the environment the preset is verified instead.
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
from keras_unrolled.presets import catalog, verification  # which imports Keras, untimed

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
        if "KERAS_UNROLLED_TEST_VERIFY" in os.environ:
            differences = verification.verify(uri, **json.loads(keywords))["differences"]
            np.save(out, list(differences.values()))
            sys.exit(0)
        model = ku.from_preset(uri, **json.loads(keywords))
    except ku.InputError as error:
        print(error, file=sys.stderr)
        print(time.perf_counter() - began)
        sys.exit(2)
    print(time.perf_counter() - began)
    scores = model.predict(np.load(images), verbose=0)
    np.save(out, scores)
    print(json.dumps(model.decode(scores, top=1)))
