"""Images to evaluate and fine-tune on: folders, lists of files, data sets of TFDS."""

import csv
import io
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
        images: uint8 array `(n, height, width, 3)`, `Files` or `Records`.
        labels: int64 array `(n,)`, indices into `names`.
        names: tuple of the classes' names.
        split: what part of which data this is, for a report.
    """

    images: "np.ndarray | Files | Records"
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
        images = self.images
        images = images[start:stop] if isinstance(images, np.ndarray) else images.part(start, stop)
        return Examples(images, self.labels[start:stop], self.names, name)


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
    path = Path(path)
    if not path.is_file():
        raise checks.InputError(
            f"Expected an image file. Found none at {path}. Check the path; "
            f"{', '.join(SUFFIXES)} files can be read."
        )
    return _decode(path, path)


def _decode(file, name):
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise checks.InputError(
            f"Expected an image that decodes. {name} does not ({error}). Repair it or take it away."
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

    def part(self, start, stop):
        """The images `start:stop`, not read yet."""
        return Files(self.paths[start:stop])


class Records:
    """The images of a TFDS split, decoded as files are, when they are asked for.

    Args:
        builder: a TFDS builder whose data have been prepared.
        instruction: `tfds.core.ReadInstruction` of a part of one split.
        image: name of the feature that holds the image.

    A slice gives a list of uint8 arrays `(height, width, 3)`, each of its own size.
    """

    def __init__(self, builder, instruction, image):
        (part,) = instruction.to_absolute(builder.info.splits)
        self.builder, self.split, self.image = builder, part.splitname, image
        self.first = part.from_ or 0
        last = builder.info.splits[self.split].num_examples if part.to is None else part.to
        self.paths = [f"{self.split}/{i}" for i in range(self.first, last)]

    def __len__(self):
        return len(self.paths)

    def part(self, start, stop):
        """The images `start:stop`, not read yet."""
        import tensorflow_datasets as tfds

        bounds = {"from_": self.first + start, "to": self.first + stop, "unit": "abs"}
        part = tfds.core.ReadInstruction(self.split, **bounds)
        return Records(self.builder, part, self.image)

    def read(self, feature, start=0, stop=None):
        """The values of one feature of a part, images as they are encoded."""
        import tensorflow_datasets as tfds

        start, stop, _ = slice(start, stop).indices(len(self))
        bounds = {"from_": self.first + start, "to": self.first + stop, "unit": "abs"}
        decoders = {self.image: tfds.decode.SkipDecoding()} if feature == self.image else None
        only = tfds.decode.PartialDecoding({feature: True}, decoders=decoders)
        dataset = self.builder.as_dataset(
            split=tfds.core.ReadInstruction(self.split, **bounds),
            decoders=only,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),  # in the order on the disk
        )
        return [row[feature] for row in tfds.as_numpy(dataset)]

    def __getitem__(self, chosen):
        start, stop, _ = chosen.indices(len(self))
        encoded = self.read(self.image, start, stop)
        return [_decode(io.BytesIO(e), name) for e, name in zip(encoded, self.paths[start:stop])]


def load_tfds(name, data_dir=None, split="train"):
    """A data set of TFDS, prepared before, as `Examples` whose images are `Records`.

    Args:
        name: string, such as "beans" or "cifar10:train[:5%]".
        data_dir: TFDS's data directory; None means its own default.
        split: string or list of strings, the split where the name has none: the first one that
            the data set has.

    Raises:
        InputError: if there is no such data set or split, it has not been prepared, or it
            has no images with labels.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    name, _, given = str(name).partition(":")
    place = data_dir or "TFDS's default data directory"
    try:
        builder = tfds.builder(name, data_dir=data_dir and str(Path(data_dir).expanduser()))
    except Exception as error:  # whatever a name may lead to
        raise checks.InputError(
            f"Expected a folder, a CSV file or a data set of TFDS. Found no folder or file at "
            f"{name}, and TFDS knows none of this name ({str(error).splitlines()[0][:100]}). "
            "Check the path."
        ) from error
    splits = dict(builder.info.splits)
    if not splits:
        raise checks.InputError(
            f"Expected {name} as TFDS prepares it, in {place}. Found none, nor a folder of this "
            'name. Prepare it: python -c "import tensorflow_datasets as t; '
            f"t.builder('{name}', data_dir='DIR').download_and_prepare()\", and pass "
            "--data-dir DIR."
        )
    wanted = [given] if given else [split] if isinstance(split, str) else split
    chosen = next((w for w in wanted if re.split(r"\W", w)[0] in splits), None)
    if chosen is None:
        raise checks.InputError(
            f"Expected a split of {name}: {', '.join(splits)}. Received: {' or '.join(wanted)}. "
            f"Write for instance {name}:{next(iter(splits))}."
        )
    features = builder.info.features
    images = [k for k, v in features.items() if isinstance(v, tfds.features.Image)]
    labels = [k for k, v in features.items() if isinstance(v, tfds.features.ClassLabel)]
    if not images or not labels:
        raise checks.InputError(
            f"Expected images with a class each in {name}. It has the features "
            f"{', '.join(features)}. Choose another data set."
        )
    image, label = images[0], "label" if "label" in labels else labels[0]
    records = Records(builder, tfds.core.ReadInstruction.from_spec(chosen), image)
    numbers = np.array(records.read(label), "int64")
    return Examples(records, numbers, tuple(features[label].names), chosen)


def load_csv(path):
    """A CSV file with the columns "file" and "label" as `Examples` whose images are `Files`.

    Args:
        path: path; files are named from its folder on.

    Raises:
        InputError: if a column or a file is missing, or there are fewer than two classes.
    """
    path = Path(path).expanduser()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise checks.InputError(
            f"Expected a CSV file of images and labels at {path}. It cannot be read ({error})."
        ) from error
    if not {"file", "label"} <= set(columns):
        raise checks.InputError(
            f"Expected the columns file and label in {path}. Found "
            f"{', '.join(columns or ['nothing'])}. Name them so in the first line."
        )
    for number, row in enumerate(rows, start=2):
        if not row["file"] or not row["label"]:
            raise checks.InputError(
                f"Expected a file and a label in each line of {path}. Line {number} lacks one. "
                "Complete or remove it."
            )
    paths = [path.parent / row["file"] for row in rows]
    missing = [str(p) for p in paths if not p.is_file()]
    if missing:
        raise checks.InputError(
            f"Expected the files that {path} names. {len(missing):,} of {len(paths):,} are missing: "
            f"{', '.join(missing[:3])}. Paths count from the folder of the CSV file."
        )
    names = tuple(sorted({row["label"] for row in rows}))
    if len(names) < 2:
        raise checks.InputError(
            f"Expected two classes or more in {path}. Found {len(names)}. Add images of others."
        )
    labels = np.array([names.index(row["label"]) for row in rows], "int64")
    return Examples(Files(paths), labels, names, path.name)


def load(source, data_dir=None, split="train"):
    """Labelled images from a folder of class folders, a CSV file or TFDS.

    Args:
        source: path of a folder or of a `.csv` file, or a name as `load_tfds` takes it.
        data_dir: TFDS's data directory.
        split: of TFDS, where the name has none.

    Returns:
        `Examples`.

    Raises:
        InputError: as `load_folder`, `load_csv` and `load_tfds`.
    """
    path = Path(str(source)).expanduser()
    if path.suffix.lower() == ".csv":
        return load_csv(path)
    if path.is_dir() or not re.fullmatch(r"[a-z][a-z0-9_]*(/[\w.-]+)?(:[^/]+)?", str(source)):
        return load_folder(path)
    return load_tfds(source, data_dir, split)


def load_parts(source, held_out, seed, data_dir=None):
    """Images to train on and images held out.

    Args:
        source: as in `load`. A folder that holds `train` and one of `val`, `validation` and
            `test`, each of class folders, is divided already.
        held_out: float in (0, 1), the part of each class to hold out otherwise.
        seed: int, of that.
        data_dir: TFDS's data directory.

    Returns:
        `Examples`, two lists of indices into them, and whether the data were divided already.

    Raises:
        InputError: as `load`, and as `split_indices`.
    """
    root = Path(str(source)).expanduser()
    held = next((root / n for n in ("val", "validation", "test") if (root / n).is_dir()), None)
    if held is None or not (root / "train").is_dir():
        examples = load(source, data_dir)
        return examples, *split_indices(examples, held_out, seed), False
    one, other = load_folder(root / "train"), load_folder(held)
    other = align(other, one.names)
    both = Examples(
        Files([*one.images.paths, *other.images.paths]),
        np.concatenate([one.labels, other.labels]),
        one.names,
        str(source),
    )
    return both, list(range(len(one))), list(range(len(one), len(both))), True


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
        files: `Files` or `Records`.
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
    with tqdm(total=len(files), desc=progress, unit=" images", file=sys.stderr) as bar:
        for start in range(0, len(files), 64):
            for image in files[start : start + 64]:
                images.append(
                    image if window is None else keras.ops.convert_to_numpy(window(image))
                )
                bar.update()
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


def read_words(folder, split):
    """The words of `FOLDER/SPLIT.txt`, with `<eos>` after each line.

    Args:
        folder: path.
        split: "train", "valid" or "test".

    Returns:
        A list of strings.

    Raises:
        InputError: if there is no such file, it is empty, or not UTF-8.
    """
    path = Path(folder).expanduser() / f"{split}.txt"
    if not path.is_file():
        raise checks.InputError(
            f"Expected a text of one sentence a line in {path}. Found none. Give --data-dir, a folder "
            "with train.txt, valid.txt and test.txt."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise checks.InputError(
            f"Expected UTF-8 in {path}. Byte {error.start:,} is not. Convert it: iconv -t utf-8."
        ) from error
    words = [word for line in text.splitlines() for word in [*line.split(), "<eos>"]]
    if len(words) == words.count("<eos>"):
        raise checks.InputError(f"Expected words in {path}. Found none. Fill the file.")
    return words
