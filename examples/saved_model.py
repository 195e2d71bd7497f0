"""Names a picture with an exported SavedModel: python saved_model.py FOLDER PICTURE"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

network, picture = sys.argv[1:]
labels = (Path(network) / "assets.extra" / "labels.txt").read_text().splitlines()
run = tf.saved_model.load(network).signatures["serving_default"]
image = np.asarray(Image.open(picture).convert("RGB"))  # of any size
probabilities = run(images=tf.constant(image[None]))["probabilities"].numpy()
best = probabilities[0].argmax()
print(f"{labels[best]}: {probabilities[0, best]:.1%}")
