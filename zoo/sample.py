"""Makes `zoo/samples/cifar10.npz`: 1,000 images of the CIFAR-10 test set, 100 a class.

    python -m zoo.sample DATA_DIR

The images are the first hundred of each class in TFDS's order (Krizhevsky 2009, "Learning
Multiple Layers of Features from Tiny Images").
"""

import sys
from pathlib import Path

import numpy as np

from keras_unrolled import data

PER_CLASS = 100
PATH = Path(__file__).parent / "samples" / "cifar10.npz"


def main(data_dir):
    """Writes the sample from TFDS's data directory."""
    test = data.load_cifar10(data_dir, "test")
    chosen = [np.flatnonzero(test.labels == i)[:PER_CLASS] for i in range(len(test.names))]
    indices = np.sort(np.concatenate(chosen))
    np.savez_compressed(
        PATH,
        images=test.images[indices],
        labels=test.labels[indices].astype("uint8"),
        names=np.array(test.names),
        indices=indices.astype("uint16"),
    )


if __name__ == "__main__":
    main(sys.argv[1])
