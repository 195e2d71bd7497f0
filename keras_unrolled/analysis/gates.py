"""Mean openings of the gates of each block."""

from typing import Any

import keras
import numpy as np

from keras_unrolled import checks, models
from keras_unrolled.layers.mixing import GATINGS
from keras_unrolled.models.inputs import check_images

BATCH_SIZE = 250


def gate_openings(model: Any, images: Any) -> dict[str, tuple[float, float]]:
    """Mean opening of every block's gates, over images, height, width and channels.

    A fixed gate has its fixed value (section 3 of Greff et al. 2017): T = C = 1 in a
    Residual net, C = 1 - T in a coupled one.

    Args:
        model: an `ImageClassifier` with a preprocessor.
        images: uint8 array `(n, height, width, 3)`.

    Returns:
        A dict from a block's name to a pair of floats in 0..1, the mean T and the mean C,
        in order of computation.

    Raises:
        InputError: for another model, and for images that are not such an array.
    """
    if not isinstance(model, models.ImageClassifier) or model.preprocessor is None:
        raise checks.InputError(
            "Expected an ImageClassifier with a preprocessor. Received a "
            f"{type(model).__name__}. Load an image preset with `from_preset`."
        )
    if not isinstance(images, np.ndarray) or images.ndim != 4 or not len(images):
        raise checks.InputError(
            "Expected images in an array (n, height, width, 3). Received a "
            f"{type(images).__name__}. Stack them with np.stack."
        )
    check_images(images, model.backbone.image_shape[-1])
    rule = GATINGS[model.backbone.gating]
    fixed = {"one": 1.0, "zero": 0.0}
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(images), BATCH_SIZE):
        batch = images[start : start + BATCH_SIZE]
        intermediates = model.backbone.forward_intermediates(model.preprocessor(batch))
        for stage in model.backbone.stages:
            for block in stage:
                means = sums.setdefault(block.name, np.zeros(2))
                for i, gate in enumerate(("transform", "carry")):
                    if gate in rule.free:
                        value = keras.ops.mean(intermediates[f"{block.name}/{gate}_gate"])
                        means[i] += float(keras.ops.convert_to_numpy(value)) * len(batch)
    openings = {}
    for name, (transform, carry) in sums.items():
        t = fixed.get(rule.transform, transform / len(images))
        c = 1 - t if rule.carry == "coupled" else fixed.get(rule.carry, carry / len(images))
        openings[name] = (float(t), float(c))
    return openings
