"""The command analyze."""

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command, check_record, reject_options
from keras_unrolled.paths import name_place

LIMIT = RECALIBRATE = 1000


def add(commands):
    """Adds the command."""
    command = add_command(
        commands,
        run_analyze,
        "analyze",
        "Measure what the blocks of a network do, and write a report.",
        examples=[
            "analyze highway_bn_cifar10 --out report/",
            "analyze resnet_bn_cifar10 --data-dir DIR --out report/ --control plain_bn_cifar10",
            "analyze hf://timm/resnet18.a1_in1k --dataset pictures/ --out report/ --only lesion cka",
            "analyze highway_small_ptb --data-dir ptb/ --out report/",
        ],
    )
    _add_data(command)
    _add_measurements(command)


def _add_data(command):
    """Adds the options of the network and its data."""
    add = command.add_argument
    add(
        "preset",
        metavar="NAME|FOLDER|FILE|hf://ORG/NAME",
        help=f"{PRESET} Also a file of weights that keras-unrolled convert reads.",
    )
    add("--out", required=True, metavar="FOLDER", help="Folder of the report to make.")
    add(
        *("--data-dir",),
        metavar="DIR",
        help="TFDS's data directory with the data set that the preset was trained on, or a folder of "
        "pictures; for a language model the folder with test.txt (required).",
    )
    add(
        *("--dataset",),
        metavar="NAME|FOLDER|ZIP|CSV|ADDRESS",
        help="Images, as keras-unrolled evaluate takes them, or a folder of pictures without labels "
        "(default: what --data-dir has, or else the bundled sample).",
    )
    add(
        *("--limit",),
        type=int,
        default=LIMIT,
        metavar="N",
        help=f"Number of images or words to use at most (default: {LIMIT}).",
    )
    add("--skip-broken", action="store_true", help="Leave out image files that do not decode.")


def _add_measurements(command):
    """Adds the options of what is measured."""
    add = command.add_argument
    add(
        *("--only",),
        nargs="+",
        metavar="NAME",
        help="Measurements to make, such as lesion or estimation_error (default: all that the network "
        "and the data allow).",
    )
    add(
        *("--control",),
        metavar="PRESET",
        help="Second network to compare with, such as a plain one, on the same images.",
    )
    add(
        *("--recalibrate",),
        type=int,
        default=RECALIBRATE,
        metavar="N",
        help="Number of images, of the training part if there is one, from which networks with changed "
        f"schedules get batch statistics of their own; 0 for none (default: {RECALIBRATE}).",
    )
    add(
        *("--probes",),
        type=int,
        default=0,
        metavar="N",
        help="Number of training images for linear probes after each block; 0 for none (default: 0).",
    )
    add(
        *("--prune",),
        type=int,
        default=0,
        metavar="N",
        help="Also leave N blocks out, those that matter least, and save the network as the preset "
        "FOLDER/pruned.",
    )
    add(
        *("--prune-by",),
        metavar="MEASURE",
        default="influence",
        help="What blocks are ranked by: influence or lesion (default: influence).",
    )
    add(
        *("--finetune",),
        type=int,
        default=0,
        metavar="EPOCHS",
        help="Fine-tune the pruned preset on the data's training part, to FOLDER/finetuned.",
    )
    add("--overwrite", action="store_true", help="Replace a report at FOLDER.")


def run_analyze(options):
    from keras_unrolled.reporting.measuring import MEASUREMENTS

    checks.whole("--limit", options.limit, least=1, most=10**9)
    checks.whole("--recalibrate", options.recalibrate, least=0, most=10**9)
    checks.whole("--probes", options.probes, least=0, most=10**9)
    checks.whole("--prune", options.prune, least=0, most=2_000)
    checks.whole("--finetune", options.finetune, least=0, most=100_000)
    checks.one_of("--prune-by", options.prune_by, ("influence", "lesion"))
    if options.prune_by != "influence" and not options.prune:
        reject_options(options, ["prune_by"], "a network that is not pruned (--prune N)")
    if options.finetune and not options.prune:
        raise checks.InputError(
            "Expected --prune with --finetune, which trains the pruned network. Received none. Add "
            "--prune N, or use keras-unrolled finetune."
        )
    for name in options.only or ():
        checks.one_of("--only", name, MEASUREMENTS)
    check_record(options.preset, lambda is_text: _check_task(options, is_text))
    from keras_unrolled.reporting.analysis import analyze

    result = analyze(
        options.preset,
        options.out,
        options.dataset,
        data_dir=options.data_dir,
        only=options.only,
        control=options.control,
        limit=options.limit,
        recalibrate=options.recalibrate,
        probes=options.probes,
        skip_broken=options.skip_broken,
        prune=options.prune,
        prune_by=options.prune_by,
        finetune=options.finetune,
        overwrite=options.overwrite,
    )
    return result, summarize(result)


def _check_task(options, is_text):
    """Rejects options that do not apply to a preset's task, before it is loaded."""
    if is_text:
        reject_options(options, ["dataset", "skip_broken"], "a language model")


def summarize(result):
    """What an analysis found, as a person reads it."""
    from keras_unrolled.reporting.pages import group_reasons
    from keras_unrolled.reporting.verdicts import sum_up

    place = name_place(result["dataset"], result["split"])
    lines = ["{preset}: {n:,} of ".format(**result) + place]
    for name, findings in result["findings"].items():
        lines.append(f"{name}: {sum_up(f['verdict'] for f in findings)} (the iterative view)")
    skipped = group_reasons(result["skipped"])
    lines += [f"not measured: {names} ({reason})" for reason, names in skipped.items()]
    for row in result.get("pruned", ()):
        lines.append(
            f"pruned, {row['step']}: {100 * row['accuracy']:.2f}% with {row['blocks']} blocks"
        )
    lines += [f"note: {note}" for note in result["notes"]]
    lines.append("written in {seconds:.0f} seconds: {report}".format(**result))
    return "\n".join(lines)
