"""Makes a finished run a preset.

python -m zoo.adopt WORKDIR [--overwrite]

WORKDIR is the --workdir of a training program that has finished. Copies its preset and log to
zoo/checkpoints and zoo/results/logs, normalizes the record, and rebuilds what follows from it.
"""

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path

from keras_unrolled import checks, files, paths, quiet
from keras_unrolled.engine import read_recipe
from keras_unrolled.presets import layout
from keras_unrolled.presets.record import Record
from keras_unrolled.presets.resolve import load_record
from training import recipes
from zoo import build


def find_recipe(name):
    """The recipe that a published name stands for and its data set, or None."""
    module = recipes.list_modules().get(name)
    return module and (module.RECIPES[recipes.find_kind(module, name)][name], module.DATASET)


def read_run(workdir):
    """The record of a finished run that may become a preset.

    Raises:
        InputError: for a folder without a finished run, a name or data set that is not
            published, a smoke run, or settings that are not the recipe's.
    """
    folder, log = workdir / "preset", workdir / "log.csv"
    for path in (folder / layout.RECORD, log):
        if not path.is_file():
            raise checks.InputError(
                f"Expected a finished run in {workdir}. Found no {path.relative_to(workdir)}. Pass "
                "the --workdir of a training program that has finished."
            )
    record = load_record(folder)
    published = find_recipe(record.name)
    if published is None or record.dataset != published[1]:
        raise checks.InputError(
            f"Expected a run of a published name on its own data. Received: {record.name!r} on "
            f"{record.dataset!r}. Train with training/*.py, without --smoke."
        )
    recipe, _ = published
    trained = read_recipe(record.training["recipe"]).applicable()
    changed = [
        f"{key}={trained.get(key)!r}"
        for key in sorted({*trained, *recipe.applicable()})
        if trained.get(key) != recipe.applicable().get(key)
    ]
    if changed or "--smoke" in record.training.get("command", ""):
        raise checks.InputError(
            f"Expected a run by the recipe of {record.name!r}. Received other settings: "
            f"{', '.join(changed) or '--smoke'}. Compare such a run with the preset: "
            f"python -m zoo.compare --runs {workdir}"
        )
    return record


def normalize(record):
    """A record with its data set and with the recipe's fields that have an effect."""
    recipe = read_recipe(record.training["recipe"]).applicable()
    return dataclasses.replace(record, training={**record.training, "recipe": recipe})


def adopt(workdir, *, overwrite=False):
    """Copies a finished run into the zoo and rebuilds everything; returns its record.

    Raises:
        InputError: as `read_run`, for a damaged preset, and for a name that has weights already.
    """
    from keras_unrolled.presets.verification import verify

    record = read_run(workdir)
    target = paths.zoo() / "checkpoints" / record.name
    if target.exists() and not overwrite:
        raise checks.InputError(
            f"Expected a preset without weights yet. {record.name!r} has some. Pass --overwrite to "
            "replace them."
        )
    verify(workdir / "preset")
    with files.written_aside(target) as aside:
        for name in record.files:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(workdir / "preset" / name, aside / name)
        normalize(record).write(aside / layout.RECORD)
    logs = build.RESULTS / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    files.write_text(logs / f"{record.name}.csv", (workdir / "log.csv").read_text())
    return Record.read(target / layout.RECORD)


def main(arguments=None):
    """Adopts a run; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.adopt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workdir", type=Path, metavar="WORKDIR", help="Folder of the run.")
    parser.add_argument("--overwrite", action="store_true", help="Replace existing weights.")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        record = adopt(options.workdir, overwrite=options.overwrite)
    except checks.InputError as error:
        print(f"zoo.adopt: {error}", file=sys.stderr)
        return 2
    print(f"{record.name}: {', '.join(map(record.show, record.metrics))}")
    code = build.build()
    print("Compare it with the other presets: python -m zoo.compare --tfds DIR --ptb DIR")
    return code


if __name__ == "__main__":
    sys.exit(main())
