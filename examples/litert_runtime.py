"""Names a picture with an exported LiteRT file: python litert_runtime.py NETWORK.tflite PICTURE"""

import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

network, picture = sys.argv[1:]
labels = zipfile.ZipFile(network).read("labels.txt").decode().splitlines()
interpreter = Interpreter(network)
_, height, width, _ = interpreter.get_input_details()[0]["shape"]
image = ImageOps.fit(Image.open(picture).convert("RGB"), (width, height))
run = interpreter.get_signature_runner()
probabilities = run(images=np.asarray(image)[None])["probabilities"]
best = probabilities[0].argmax()
print(f"{labels[best]}: {probabilities[0, best]:.1%}")
