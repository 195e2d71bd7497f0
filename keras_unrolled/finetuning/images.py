"""The images of a fine-tuning: streamed from the disk, whatever their number.

What streams them imports TensorFlow, without which presets are evaluated, too, so it is imported on use.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_unrolled import checks, files
from keras_unrolled.data import ImageFiles, TFDSImages
from keras_unrolled.data.broken import hash_images
from keras_unrolled.data.decoding import decode_image
from keras_unrolled.data.image_batches import ImageBatches
from keras_unrolled.progress import progress

LARGEST_CACHED = 64  # pixels, up to which images are resized once; larger ones are read each epoch
CHUNK = 16  # images of TFDS that are in memory at once; of files one


class Selected:
    """Some images of an array that may be on the disk, read when they are needed.

    Args:
        images: uint8 array `(n, height, width, 3)`, usually a `np.memmap`.
        numbers: int array `(m,)`.
    """

    def __init__(self, images: np.ndarray, numbers: Sequence[int]):
        self.images, self.numbers = images, np.asarray(numbers)
        self.shape = (len(self.numbers), *images.shape[1:])

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, chosen):
        return self.images[self.numbers[chosen]]


@dataclass
class TrainingImages:
    """What a phase trains on and is scored on.

    Args:
        make_stream: function of (recipe, steps_per_epoch) that returns a stream.
        preprocess: what the device computes of a stream's images, or None.
        held: images that are held out, as `evaluation.predict` takes them.
        augmentation: string, "shift_flip", "crop_flip" or "none".
    """

    make_stream: Any
    preprocess: Any
    held: Any
    augmentation: str


def open_images(examples, parts, converter, augmentation, folder) -> TrainingImages:
    """Opens images for training and scoring, with memory that does not grow with their number.

    Small images are resized once, to a file in `folder`, from which batches are read; larger ones
    are decoded whenever they are needed, after a first pass has checked that all of them can be.

    Args:
        examples: `Examples`.
        parts: two lists of indices into them, to train on and held out.
        converter: the network's `ImageConverter`.
        augmentation: string, "auto", "shift_flip", "crop_flip" or "none".
        folder: path of the run's folder.

    Raises:
        InputError: if an image does not decode, or the disk is too small.
    """
    if augmentation == "auto":
        small = converter.image_size is None or max(converter.image_size) <= LARGEST_CACHED
        augmentation = "shift_flip" if small else "crop_flip"
    labels, classes = examples.labels[parts[0]], len(examples.names)
    if augmentation == "crop_flip" and converter.image_size is None:
        raise checks.InputError(
            "Expected a preset with an image size for random crops. Received one that keeps the "
            "size of its images. Use augmentation='shift_flip'."
        )
    if augmentation == "crop_flip" and not isinstance(examples.images, np.ndarray):
        from keras_unrolled.data.crops import make_normalizer
        from keras_unrolled.data.sources import Subset
        from keras_unrolled.data.streams import crop_batches

        _check_records(examples.images, folder / "checked")
        source = Subset(_make_source(examples), parts[0])
        return TrainingImages(
            lambda recipe, steps_per_epoch: crop_batches(source, recipe, classes),
            make_normalizer(converter),
            _take(examples, parts[1]),
            augmentation,
        )
    cached = cache_images(examples.images, converter, folder / "images.npy")
    train, held = (Selected(cached, part) for part in parts)

    def make_stream(recipe, steps_per_epoch):
        return ImageBatches(
            train,
            labels,
            batch_size=recipe.batch_size,
            total_steps=recipe.epochs * steps_per_epoch,
            seed=recipe.seed,
            shift_flip=recipe.augmentation == "shift_flip",
            # An eighth, by whole pixels: interpolation between them blurs an image of 32 pixels,
            # which costs a point of accuracy.
            pad=cached.shape[1] // 8,
            preprocess=converter,
            rand_augment=recipe.rand_augment,
            mixup=recipe.mixup,
            classes=classes,
        )

    if augmentation == "crop_flip":  # of an array in memory
        augmentation = "shift_flip"
    return TrainingImages(make_stream, None, held, augmentation)


def cache_images(images, converter, path) -> np.ndarray:
    """Resizes images as a network's converter does and keeps them in a file.

    Args:
        images: `ImageFiles`, `TFDSImages` or a uint8 array.
        converter: an `ImageConverter`.
        path: path of the `.npy` file; if it is there as it was written, it is used.

    Returns:
        A memory-mapped uint8 array `(n, height, width, 3)`: the center of each image, in the size
        that the converter resizes to, so that it has only its own crop left to do.

    Raises:
        InputError: if an image does not decode, or the disk is too small.
    """
    if not _is_whole(path):
        window = make_window(converter)
        first = window(_first(images))
        path.parent.mkdir(parents=True, exist_ok=True)
        files.check_room(path.parent, len(images) * first.nbytes)
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(images), *first.shape)}
        # Not by a mapping: on a full disk that ends the process.
        with files.replaced(path) as aside, aside.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            rows = progress(
                _iterate(images), total=len(images), description="reading", unit="images"
            )
            for image in map(window, rows):
                if image.shape != first.shape:
                    raise checks.InputError(
                        f"Expected images of one size, since the preset keeps their size. Found "
                        f"{first.shape[:2]} and {image.shape[:2]}. Resize them first."
                    )
                file.write(np.ascontiguousarray(image, "uint8"))
        files.write_text(_hash_of(path), files.fingerprint(path)["sha256"])
    return np.load(path, mmap_mode="r")


def _hash_of(path):
    return path.with_name(f"{path.name}.sha256")


def _is_whole(path):
    """Whether a file of images is there and has the hash noted next to it."""
    noted = _hash_of(path)
    if not (path.is_file() and noted.is_file()):
        return False
    return noted.read_text(encoding="utf-8", errors="replace") == files.fingerprint(path)["sha256"]


def make_window(converter):
    """The function from an image of any size to uint8 of the size that a converter resizes to."""
    if converter.image_size is None:
        return np.asarray
    config = {**converter.resizing.get_config(), "crop_fraction": 1.0}
    config["height"], config["width"] = converter.resizing.full_size
    resizing = type(converter.resizing).from_config(config)
    return lambda image: keras.ops.convert_to_numpy(resizing(image))


def fingerprint(examples, parts) -> str:
    """A hash that changes with the classes, the parts, the files' names or any content."""
    digest = hashlib.sha256(repr(list(examples.names)).encode("utf-8", "surrogateescape"))
    digest.update(np.ascontiguousarray(examples.labels).tobytes())
    digest.update(repr([list(part) for part in parts]).encode())
    images = examples.images
    if isinstance(images, ImageFiles):
        for key, content in zip(images.keys(), hash_images(images)):
            digest.update(key.encode("utf-8", "surrogateescape") + b"\0" + content)
    elif isinstance(images, TFDSImages):
        digest.update(f"{images.builder.info.full_name} {images.paths}".encode())
    else:
        digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()


def _check_records(images, mark):
    """Decodes the images of TFDS once, so that a damaged one is reported before the training."""
    if isinstance(images, TFDSImages) and not mark.exists():
        for _ in progress(_iterate(images), total=len(images), description="checking images"):
            pass
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _iterate(images):
    """Images one after the other, a few at a time in memory."""
    step = 1 if isinstance(images, ImageFiles) else CHUNK
    for start in range(0, len(images), step):
        yield from images[start : start + step]


def _first(images):
    return next(_iterate(images))


def _open_records(examples):
    from keras_unrolled.data.sources import RecordSource

    images = examples.images
    paths = images.builder.info.splits[images.split].filepaths
    return RecordSource(paths, examples.names, image=images.image, label=images.label)


def _make_source(examples):
    from keras_unrolled.data.sources import FileSource, Subset

    images = examples.images
    if isinstance(images, ImageFiles):
        return FileSource(images.paths, examples.labels, examples.names, any_format=True)
    return Subset(_open_records(examples), images.first + np.arange(len(images)))


def _take(examples, numbers):
    images = examples.images
    if isinstance(images, ImageFiles):
        return images[numbers]
    return RecordImages(_open_records(examples), [images.first + i for i in numbers])


class RecordImages:
    """Some images of a `RecordSource`, decoded when they are needed.

    Args:
        source: a `RecordSource`.
        numbers: list of int.
    """

    def __init__(self, source: Any, numbers: Sequence[int]):
        self.source, self.numbers = source, list(numbers)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, chosen):
        return [
            decode_image(io.BytesIO(self.source.encoded(i)), self.source.name(i))
            for i in self.numbers[chosen]
        ]
