"""Names a picture with an exported ONNX file: python onnx_runtime.py NETWORK.onnx PICTURE"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network, picture = sys.argv[1:]
session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
_, height, width, _ = session.get_inputs()[0].shape
image = ImageOps.fit(Image.open(picture).convert("RGB"), (width, height))
images = np.asarray(image)[None]
(probabilities,) = session.run(["probabilities"], {"images": images})
best = probabilities[0].argmax()
print(f"{labels[best]}: {probabilities[0, best]:.1%}")
