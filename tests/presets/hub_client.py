"""Loads a preset in a process of its own, for HF_ENDPOINT is read at import: see test_hub.py.

    python hub_client.py URI KEYWORDS.json IMAGES.npy OUT.npy

Prints the error and ends with code 2 where the preset is refused.
"""

import json
import sys
import time

import numpy as np

import keras_unrolled as ku
from keras_unrolled.presets import loading  # noqa: F401  so that Keras is not timed

if __name__ == "__main__":
    uri, keywords, images, out = sys.argv[1:]
    began = time.perf_counter()
    try:
        model = ku.from_preset(uri, **json.loads(keywords))
    except ku.InputError as error:
        print(error, file=sys.stderr)
        print(time.perf_counter() - began)
        sys.exit(2)
    np.save(out, model.predict(np.load(images), verbose=0))
