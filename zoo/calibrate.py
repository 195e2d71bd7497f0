"""Chooses a temperature for presets of CIFAR-10 and writes it into their records.

    python -m zoo.calibrate --tfds DIR [NAME ...]

DIR is TFDS's data directory; NAME are trained presets, by default all of 20 layers. One half of the test
set chooses the temperature, the other half shows what it does: the training images cannot choose it, since
the presets were trained on all of them. Rebuilds what follows from the records.
"""

import argparse
import dataclasses
import sys

from keras_unrolled import checks, data, evaluation, paths, quiet
from keras_unrolled.evaluation import calibration
from keras_unrolled.presets import layout
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.presets.record import Record
from zoo import build
from zoo.compare import list_trained, list_twenty_layers

CHOOSE, SCORE = "test[:5000]", "test[5000:]"  # TFDS keeps the test set in a random order
ORIGIN = "a half of the test set, since the network was trained on all training images"


def find_names(names):
    """The presets to calibrate.

    Raises:
        InputError: for a name that is no trained preset of CIFAR-10.
    """
    trained = [name for name, record in list_trained().items() if record.dataset == "cifar10"]
    for name in names:
        checks.one_of("preset", name, trained)
    return list(names or list_twenty_layers())


def measure(choose, score):
    """The entry `calibration` of a record.

    Args:
        choose: pair of scores `(n, classes)` and labels `(n,)` that choose the temperature.
        score: another such pair, which shows what it does.

    Returns:
        A dict, see `Record`.
    """
    return {
        **calibration.calibrate(choose, score),
        "dataset": "cifar10",
        "split": CHOOSE,
        "origin": ORIGIN,
        "scored_on": SCORE,
    }


def calibrate(name, examples):
    """Chooses the temperature of a preset and writes its record; returns the record."""
    model = from_preset(name)
    choose, score = (
        (evaluation.predict(model, part.images, progress=f"{name}, {part.split}"), part.labels)
        for part in examples
    )
    path = paths.zoo() / "checkpoints" / name / layout.RECORD
    record = dataclasses.replace(Record.read(path), calibration=measure(choose, score))
    record.write(path)
    return record


def main(arguments=None):
    """Calibrates presets; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.calibrate",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--tfds", required=True, help="TFDS's data directory.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="Presets.")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        names = find_names(options.names)
        examples = [data.load_cifar10(options.tfds, split) for split in (CHOOSE, SCORE)]
        for name in names:
            found = calibrate(name, examples).calibration
            errors = [found[key]["calibration_error"] for key in ("before", "after")]
            print("{}: {:.3f}, {:.2%} to {:.2%}".format(name, found["temperature"], *errors))
    except checks.InputError as error:
        print(f"zoo.calibrate: {error}", file=sys.stderr)
        return 2
    return build.build()


if __name__ == "__main__":
    sys.exit(main())
