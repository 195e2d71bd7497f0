"""The command finetune; its flags are derived from `finetuning.Options`."""

import dataclasses

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command
from keras_unrolled.finetuning.options import Options

KINDS = ("auto", "one", "mirrored")


def add(commands):
    """Adds the command."""
    command = add_command(
        commands,
        run_finetune,
        "finetune",
        "Fine-tune a preset on your own labeled images.",
        examples=[
            "finetune highway_bn_cifar10 --data pictures/ --out flowers/",
            "finetune hf://timm/resnet18.a1_in1k --data photos/ --out flowers/",
            "finetune highway_bn_cifar10 --data beans --data-dir DIR --out beans/",
            "finetune highway_bn_cifar10 --data hf-dataset://uoft-cs/cifar10:test --out tuned/",
        ],
    )
    add = command.add_argument
    add("preset", help=PRESET)
    add(
        *("--data",),
        required=True,
        metavar="FOLDER|ZIP|CSV|NAME|ADDRESS",
        help="Folder with one folder of images per class (or with two such folders, train and val), "
        "zip file of one, CSV file with the columns file and label, a data set of TFDS such as beans:train, or "
        "hf-dataset://org/name, a data set on the Hugging Face Hub.",
    )
    add("--data-dir", metavar="DIR", help="TFDS's data directory.")
    add("--out", required=True, metavar="FOLDER", help="Folder of the preset to make.")
    for option in dataclasses.fields(Options):
        _add_option(command, option)
    add("--replicas", type=int, metavar="N", help="Number of devices (default: every GPU).")
    add(
        "--strategy",
        default="auto",
        metavar="NAME",
        help=f"Where to train: {', '.join(KINDS)} (default: auto).",
    )
    add("--overwrite", action="store_true", help="Replace a preset at FOLDER.")


def _add_option(command, option):
    """Adds the flag of one field of `Options`."""
    flag, kind = "--" + option.name.replace("_", "-"), option.metadata["kind"]
    text = option.metadata["help"]
    if kind is bool:
        command.add_argument(flag, action="store_true", help=text)
        return
    if option.default is not None:
        text = (
            f"{text[:-1]} (default: {option.default:g})."
            if kind is float
            else (f"{text[:-1]} (default: {option.default}).")
        )
    settings = {"type": kind, "metavar": "N"}
    if isinstance(kind, tuple):
        settings = {"metavar": "NAME"}
        text = f"{text[:-1]}. One of {', '.join(kind)}."
    command.add_argument(flag, default=option.default, help=text, **settings)


def run_finetune(options):
    from keras_unrolled.finetuning.run import finetune

    result = finetune(
        options.preset,
        options.data,
        options.out,
        data_dir=options.data_dir,
        replicas=options.replicas,
        strategy=options.strategy,
        overwrite=options.overwrite,
        **{each.name: getattr(options, each.name) for each in dataclasses.fields(Options)},
    )
    return result, summarize(result)


def summarize(result):
    """What a fine-tuning did, as a person reads it."""
    lines = [
        "{preset}: {accuracy:.1%} of {0}, {1} classes".format(
            checks.count(result["n"], "held-out image"), len(result["classes"]), **result
        )
    ]
    if result["image_size"]:
        lines.append(f"The network sees the pictures at {result['image_size']} pixels.")
    for number, phase in enumerate(result["phases"], start=1):
        lines.append(
            "phase {0}: {epochs} epoch{1} of {trained}, learning rate {learning_rate:g}: "
            "{accuracy:.1%} of the training images, {val_accuracy:.1%} held out".format(
                number, "s" if phase["epochs"] > 1 else "", **phase
            )
        )
    if "test" in result:
        lines.append(
            "test part, scored once: {accuracy:.1%} of {0}".format(
                checks.count(result["test"]["n"], "image"), **result["test"]
            )
        )
    lines += [f"note: {note}" for note in result["notes"]]
    lines += [f"- {hint}" for hint in result["hints"]]
    lines.append(
        "written to {out}: the preset, curves.png, confusion.png, history.csv and "
        "held_out.csv".format(**result)
    )
    return "\n".join(lines)
