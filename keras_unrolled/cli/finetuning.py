"""The command finetune; its flags are derived from `finetuning.Options`."""

import dataclasses

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command
from keras_unrolled.finetuning.options import Options, name_flag

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
        help="Folder with one folder of images per class (or with two or three such folders: train, val, test), "
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
    add("--report", metavar="FOLDER", help="Also write a report on the held-out images.")
    add("--overwrite", action="store_true", help="Replace a preset or report at FOLDER.")


def _add_option(command, option):
    """Adds the flag of one field of `Options`."""
    flag, kind = name_flag(option), option.metadata["kind"]
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
    settings = {"type": kind, "metavar": "N", "dest": option.name}
    if isinstance(kind, tuple):
        settings = {"metavar": "NAME", "dest": option.name}
        text = f"{text[:-1]}. One of {', '.join(kind)}."
    command.add_argument(flag, default=option.default, help=text, **settings)


def run_finetune(options):
    from keras_unrolled.reporting.diagnosis.finetuning import finetune

    result = finetune(
        options.preset,
        options.data,
        options.out,
        data_dir=options.data_dir,
        replicas=options.replicas,
        strategy=options.strategy,
        report=options.report,
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
    if result["temperature"]:
        lines.append(
            "temperature of the probabilities: {temperature:.3g} (predict --calibrated)".format(
                **result
            )
        )
    lines += [f"note: {note}" for note in result["notes"]]
    lines += _list_trials(result["trials"])
    if result["limits"]:
        lines += ["What limits the result:", *(f"- {limit}" for limit in result["limits"])]
    if result["hints"]:
        lines += ["What to try next:", *(f"- {hint}" for hint in result["hints"])]
    lines.append(
        "written to {out}: the preset, curves.png, confusion.png, history.csv and "
        "held_out.csv{0}".format(
            ", find_lr.png and find_lr.csv" if result["range_test"] else "", **result
        )
    )
    if "report" in result:
        lines.append("report on the held-out images: {report}".format(**result))
    return "\n".join(lines)


def _list_trials(trials):
    """The lines of a table of trials."""
    if not trials:
        return []
    lines = [f"{'learning rate':>13} {'held out':>9} {'loss':>7} {'steps':>6} {'seconds':>8}"]
    for trial in trials:
        figures = f"{'not finite':>17}"
        if trial["val_accuracy"] is not None:
            figures = f"{trial['val_accuracy']:>9.1%} {trial['val_loss']:>7.3f}"
        lines.append(
            "{learning_rate:>13g} {0} {steps:>6} {seconds:>8.1f}{1}".format(
                figures, "  chosen" if trial["chosen"] else "", **trial
            )
        )
    return lines
