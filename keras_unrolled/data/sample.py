"""The images that are bundled with the package."""

import numpy as np

from keras_unrolled import paths
from keras_unrolled.data.examples import Examples


def load_sample() -> Examples:
    """The 1,000 images of the CIFAR-10 test set that are bundled with the package, 100 per class.

    Example:
        >>> import keras_unrolled as ku
        >>> sample = ku.data.load_sample()
        >>> sample.images.shape, sample.names[:2]
        ((1000, 32, 32, 3), ('airplane', 'automobile'))
    """
    with np.load(paths.zoo() / "samples" / "cifar10.npz", allow_pickle=False) as file:
        return Examples(
            file["images"],
            file["labels"].astype("int64"),
            tuple(str(name) for name in file["names"]),
            "sample of test",
        )
