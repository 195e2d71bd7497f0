"""Images to evaluate and fine-tune on: CIFAR-10 as TFDS has it, a folder, single files."""

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_unrolled import checks

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")


@dataclass(frozen=True)
class Examples:
    """Labelled images in memory.

    Args:
        images: uint8 array `(n, height, width, 3)`, or `Files`.
        labels: int64 array `(n,)`, indices into `names`.
        names: tuple of the classes' names.
        split: what part of which data this is, for a report.
    """

    images: "np.ndarray | Files"
    labels: np.ndarray
    names: tuple[str, ...]
    split: str

    def __len__(self):
        return len(self.labels)

    def take(self, chosen):
        """The examples at the indices `chosen`, in that order."""
        return Examples(self.images[chosen], self.labels[chosen], self.names, self.split)

    def part(self, split, start, stop=None):
        """The examples `start:stop`, named as a TFDS split, "train[45000:]"."""
        start, stop, _ = slice(start, stop).indices(len(self))
        ends = (start or "", "" if stop == len(self) else stop)
        name = split if stop - start == len(self) else f"{split}[{ends[0]}:{ends[1]}]"
        if isinstance(self.images, Files):
            return Examples(
                Files(self.images.paths[start:stop]), self.labels[start:stop], self.names, name
            )
        return Examples(self.images[start:stop], self.labels[start:stop], self.names, name)


def load_sample():
    """The 1,000 images of the CIFAR-10 test set that come with the package, 100 a class."""
    from keras_unrolled.presets.registry import zoo

    with np.load(zoo() / "samples" / "cifar10.npz", allow_pickle=False) as file:
        return Examples(
            file["images"],
            file["labels"].astype("int64"),
            tuple(str(name) for name in file["names"]),
            "1,000 images of test",
        )


def load_cifar10(data_dir, split):
    """CIFAR-10 (Krizhevsky 2009) as TFDS prepared it.

    Args:
        data_dir: TFDS's data directory, the one that holds `cifar10/`; None means TFDS's
            own default (`~/tensorflow_datasets`, or `TFDS_DATA_DIR`).
        split: a TFDS split, such as "test" or "train[45000:]".

    Returns:
        `Examples`, 32x32 pixels, ten classes.

    Raises:
        InputError: if the data set has not been prepared there.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        builder = tfds.builder("cifar10", data_dir=data_dir and str(Path(data_dir).expanduser()))
        tables = builder.as_dataset(split=split, batch_size=-1)
    except (AssertionError, FileNotFoundError, tfds.core.DatasetNotFoundError) as error:
        place = data_dir or "TFDS's default data directory"
        raise checks.InputError(
            f"Expected CIFAR-10 as TFDS prepares it, in {place}/cifar10/3.0.2. Found none. "
            'Prepare it on a machine with a network: python -c "import tensorflow_datasets as t; '
            "t.builder('cifar10', data_dir='DIR').download_and_prepare()\", and pass "
            "--data-dir DIR."
        ) from error
    table = tfds.as_numpy(tables)
    names = tuple(builder.info.features["label"].names)
    return Examples(table["image"], table["label"].astype("int64"), names, split)


def read_image(path):
    """One image file as a uint8 array `(height, width, 3)`; greyscale and CMYK are converted.

    Raises:
        InputError: if the file is missing or does not decode.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    if not path.is_file():
        raise checks.InputError(
            f"Expected an image file. Found none at {path}. Check the path; "
            f"{', '.join(SUFFIXES)} files can be read."
        )
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise checks.InputError(
            f"Expected an image that decodes. {path} does not ({error}). Repair it or take it away."
        ) from error


def list_folder(folder):
    """The image files of a folder of class folders.

    Args:
        folder: path of a folder that holds one folder of images for each class, whose
            name is the class's name.

    Returns:
        A list of paths, a list of their classes' indices, and a tuple of the names, all in
        alphabetical order.

    Raises:
        InputError: if there is no such folder, fewer than two classes, or no image.
    """
    folder = Path(folder).expanduser()
    layout = f"Expected a folder of class folders, such as {folder}/cats/1.png. "
    if not folder.is_dir():
        raise checks.InputError(f"{layout}Found no folder at {folder}. Check the path.")
    classes = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if files:
            classes[place.name] = files
    if not classes:
        raise checks.InputError(
            f"{layout}Found no image in it. Put images ({', '.join(SUFFIXES)}) into a "
            "folder for each class."
        )
    if len(classes) < 2:
        raise checks.InputError(
            f"{layout}Found one class only, {next(iter(classes))!r}. Classifying takes two "
            "or more: add a folder for each other class."
        )
    paths = [path for files in classes.values() for path in files]
    labels = [i for i, files in enumerate(classes.values()) for _ in files]
    return paths, labels, tuple(classes)


class Files:
    """The images of a list of files, read when they are asked for.

    Args:
        paths: list of paths.

    A slice gives a list of uint8 arrays `(height, width, 3)`, each of its own size.
    """

    def __init__(self, paths):
        self.paths = list(paths)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, chosen):
        if isinstance(chosen, slice):
            return [read_image(path) for path in self.paths[chosen]]
        return Files(self.paths[i] for i in chosen)


def load_folder(folder):
    """A folder of class folders as `Examples` whose images are `Files`.

    Raises:
        InputError: as `list_folder`.
    """
    paths, labels, names = list_folder(folder)
    return Examples(Files(paths), np.asarray(labels, "int64"), names, str(folder))


def resize(files, converter, progress):
    """Reads images and resizes each as a network's converter would, rounded to uint8.

    Args:
        files: `Files`.
        converter: an `ImageConverter`.
        progress: string, title of a progress bar on standard error.

    Returns:
        uint8 array `(n, height, width, 3)`: the centre of each image, of the size that the
        converter resizes to, so that it has only its own crop left to do.

    Raises:
        InputError: for an image that does not decode.
    """
    import keras

    window = None
    if converter.image_size is not None:
        config = {**converter.resizing.get_config(), "crop_fraction": 1.0}
        config["height"], config["width"] = converter.resizing.full_size
        window = type(converter.resizing).from_config(config)
    images = []
    with tqdm(files.paths, desc=progress, unit=" images", file=sys.stderr) as bar:
        for path in bar:
            image = read_image(path)
            images.append(image if window is None else keras.ops.convert_to_numpy(window(image)))
    return np.stack(images)


def split_indices(examples, fraction, seed):
    """Splits examples at random, class by class.

    Args:
        examples: `Examples`; every class needs two or more.
        fraction: float in (0, 1), the part of each class to hold out, one example at least.
        seed: int.

    Returns:
        Two sorted lists of indices: to train on, and held out.

    Raises:
        InputError: if a class has a single example.
    """
    rng = random.Random(seed)
    kept, held = [], []
    for index, name in enumerate(examples.names):
        members = np.flatnonzero(examples.labels == index).tolist()
        if len(members) < 2:
            raise checks.InputError(
                f"Expected two images or more of each class, one to hold out. Found "
                f"{len(members)} of {name!r}. Add images or remove the class."
            )
        rng.shuffle(members)
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        held += members[:count]
        kept += members[count:]
    return sorted(kept), sorted(held)


def align(examples, labels):
    """Renumbers examples by a network's labels.

    Args:
        examples: `Examples`.
        labels: list of the network's class names, or None for a network without names. For a
            network that knows ImageNet-1k, classes may be named by WordNet's ids.

    Returns:
        `Examples` whose labels are indices into `labels`.

    Raises:
        InputError: if a class is not among the network's.
    """
    if labels is None or list(examples.names) == list(labels):
        return examples
    if len(labels) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in examples.names):
        from keras_unrolled import models

        if list(labels) == models.imagenet_labels():
            labels = models.imagenet_labels(synsets=True)
    unknown = [name for name in examples.names if name not in labels]
    if unknown:
        raise checks.InputError(
            f"Expected the classes of the network: {', '.join(labels[:20])}. Found others in "
            f"the data: {', '.join(unknown[:20])}. Rename them, or fine-tune on the data first."
        )
    places = np.array([labels.index(name) for name in examples.names])
    return Examples(examples.images, places[examples.labels], tuple(labels), examples.split)
