"""Runs in a process of its own, on the backend of KERAS_BACKEND: see test_backends.py.

    python backend_worker.py OUT.npz

Writes what every small network returns for the same images and weights: in inference, in
training mode, and the moving statistics that training mode left behind.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import keras
import numpy as np

from keras_unrolled import models
from tests.nets import OPTIONS, make_net, randomize


def main(out):
    x = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype("float32")
    found = {}
    for name in OPTIONS:
        net = make_net(name, layer_dropout=0.0)
        randomize(net)
        found[name] = net(x)
        found[f"{name}/training"] = net(x, training=True)
        norms = [w for w in net.weights if w.path.endswith("moving_variance")]
        if norms:
            found[f"{name}/moving_variance"] = norms[-1].value
        found[f"{name}/intermediates"] = net.forward_intermediates(x)["stage2_block1"]

    # The whole classifier: raw images in, one step of fit, scores out.
    classifier = models.highway(8, dataset="cifar", gating="full")
    randomize(classifier)
    raw = np.random.default_rng(1).integers(0, 256, (4, 40, 36, 3)).astype("uint8")
    found["predict"] = classifier.predict(raw, batch_size=4, verbose=0)
    classifier.compile(optimizer=keras.optimizers.SGD(0.01), metrics=None)
    history = classifier.fit(raw, np.arange(4), batch_size=4, epochs=1, verbose=0)
    found["loss"] = np.array(history.history["loss"])
    found["after one step"] = classifier.predict(raw, batch_size=4, verbose=0)

    narrow = make_net("full", dtype="mixed_bfloat16")
    randomize(narrow)
    for training in (False, True):
        name = f"mixed_bfloat16, training={training}"
        found[name] = keras.ops.cast(narrow(x, training=training), "float32")
    np.savez(out, **{k: keras.ops.convert_to_numpy(v) for k, v in found.items()})


if __name__ == "__main__":
    main(sys.argv[1])
