"""Converts on the backend that KERAS_BACKEND names: see test_backends.py.

python convert_worker.py CHECKPOINT IMAGES.npy OUT
"""

import sys
from pathlib import Path

import keras
import numpy as np

import keras_unrolled as ku

if __name__ == "__main__":
    checkpoint, images, out = map(Path, sys.argv[1:])
    model = ku.from_preset(checkpoint, gating="coupled")
    ku.save_preset(model, out / "preset")
    again = ku.from_preset(out / "preset")
    np.save(out / "scores.npy", again.predict(np.load(images), verbose=0))
    source = ku.from_preset(checkpoint)  # each keeps its weights while the other is applied
    pair = [source, ku.convert.regate(source, "full")]
    first, *others = (model.predict(np.load(images), verbose=0) for model in [*pair, source])
    for scores in others:
        np.testing.assert_allclose(scores, first, rtol=1e-3, atol=1e-4)
    ku.convert.to_timm(ku.from_preset(checkpoint), out / "timm")
    theirs = keras.applications.ResNet50(weights=None, classes=3)
    ours = ku.convert.from_keras_applications(theirs)
    x = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    found, expected = (
        keras.ops.convert_to_numpy(net(data, training=False))
        for net, data in ((ours, x), (theirs, x[..., ::-1].copy()))
    )
    assert np.abs(found - expected).max() < 1e-5
