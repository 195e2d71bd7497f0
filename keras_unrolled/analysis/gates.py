"""Mean openings of the gates of each block."""

from typing import Any

import keras
import numpy as np

from keras_unrolled import checks, models
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

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> transform, carry = ku.analysis.gate_openings(model, images)["stage1_block1"]
        >>> round(transform + carry, 5)  # C = 1 - T
        1.0
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
    sums: dict[str, np.ndarray] = {}
    for start in range(0, len(images), BATCH_SIZE):
        batch = images[start : start + BATCH_SIZE]
        gates = model.backbone.forward_intermediates(
            model.preprocessor(batch), keep=lambda name: name.endswith("_gate")
        )
        for name, gate in gates.items():
            mean = float(keras.ops.convert_to_numpy(keras.ops.mean(gate)))
            block, _, part = name.partition("/")
            pair = sums.setdefault(block, np.zeros(2))
            pair[int(part == "carry_gate")] += mean * len(batch) / len(images)
    return {block: (float(pair[0]), float(pair[1])) for block, pair in sums.items()}
