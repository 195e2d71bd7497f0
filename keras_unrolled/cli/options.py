"""What the commands' parsers share."""

import argparse
import textwrap

from keras_unrolled import checks

PRESET = "Preset: a name, a folder or hf://org/name."
MAY_BE_EMPTY = ("prompt", "message")
POSITIONAL = {
    "preset": "the preset",
    "presets": "each preset",
    "files": "each image file",
    "pattern": "the presets to list",
    "uri": "the repository",
}


def add_command(commands, run, name, summary, *, examples, needs_keras=True):
    """Adds a command and returns its parser.

    Args:
        commands: the subparsers of the program.
        run: function of the parsed options that returns a JSON-able result and its text.
        name: string.
        summary: one sentence.
        examples: list of strings, commands without "keras-unrolled".
        needs_keras: bool, whether Keras is imported before `run`.
    """
    lines = "\n".join(f"  keras-unrolled {example}" for example in examples)
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(summary, 78),
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    parser.set_defaults(run=run, needs_keras=needs_keras)
    return parser


def add_data(parser):
    """Adds the options of the data that a preset is scored on."""
    add = parser.add_argument
    add(
        *("--dataset",),
        metavar="NAME|FOLDER|ZIP|CSV|ADDRESS",
        help="Images: sample (1,000 bundled images of CIFAR-10's test set), cifar10, imagenet2012 or "
        "another TFDS name (its test or validation split), a folder of class folders, a zip file of "
        "one, a CSV file with the columns file and label, or hf-dataset://org/name, a data set on the "
        "Hugging Face Hub (default: sample).",
    )
    add(
        *("--data-dir",),
        metavar="DIR",
        help="TFDS's data directory; for a language model the folder of its text files (required).",
    )
    add(
        *("--split",),
        metavar="test|valid|train",
        help="Text file of a language model (default: test).",
    )
    add(
        *("--batch-size",),
        type=int,
        metavar="N",
        help="Parts of a text that are read in parallel by a language model (default: 1).",
    )
    add("--skip-broken", action="store_true", help="Leave out image files that do not decode.")
    add("--limit", type=int, metavar="N", help="Use only N images or words.")


def reject_empty(options):
    """Raises `InputError` for an empty word among the parsed options, as of an unset variable."""
    for name, value in vars(options).items():
        words = value if isinstance(value, (list, tuple)) else [value]
        if name not in MAY_BE_EMPTY and any(isinstance(w, str) and not w.strip() for w in words):
            shown = f"--{name.replace('_', '-')}" if name not in POSITIONAL else POSITIONAL[name]
            checks.named(shown, "")


def reject_options(options, names, why):
    """Raises `InputError` for options that were given and have no effect.

    Args:
        options: the parsed options.
        names: attributes whose default is None, or False for flags.
        why: string, what they do not apply to.
    """
    given = [name for name in names if getattr(options, name) not in (None, False)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise checks.InputError(
            f"Expected only options that have an effect on {why}. Received: {flags}. Leave it out."
        )


def or_default(value, default):
    """A given value, or the default where none was given."""
    return default if value is None else value


def check_record(preset, check):
    """Checks the task of a preset by its record, where one is at hand.

    Args:
        preset: name, folder or address.
        check: function of a bool, whether the preset is a language model; raises `InputError`
            where that is not what the command needs.
    """
    from keras_unrolled.presets import catalog, layout, record

    path = checks.expand(str(preset)) / layout.RECORD
    known = record.Record.read(path) if path.is_file() else catalog.all_presets().get(str(preset))
    if known is not None:
        check(known.task == record.TEXT)


def load(preset, check):
    """Loads a preset; its task is checked before where its record is at hand, and after.

    Args:
        preset, check: as of `check_record`.
    """
    from keras_unrolled.presets.loading import from_preset

    check_record(preset, check)
    model = from_preset(preset)
    check(is_language_model(model))
    return model


def is_language_model(model):
    """Whether a model is for text."""
    from keras_unrolled import models

    return isinstance(model, models.CharacterLM)
