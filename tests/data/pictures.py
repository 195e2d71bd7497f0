"""Small image files for the tests."""

import numpy as np
from PIL import Image


def write_image(path, image=None, mode="RGB", **options):
    """Writes an image, gray by default, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((10, 12, 3), 200, "uint8") if image is None else image
    Image.fromarray(image).convert(mode).save(path, **options)
    return path


def fill(folder, classes=("cat", "dog"), count=4, suffix=".png", **options):
    """Writes images of each of some classes; returns the folder."""
    for name in classes:
        for i in range(count):
            write_image(folder / name / f"{i}{suffix}", **options)
    return folder
