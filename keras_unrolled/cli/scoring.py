"""The command that scores presets, evaluate, and what it shares with compare."""

from keras_unrolled import checks
from keras_unrolled.cli.options import (
    PRESET,
    add_command,
    add_data,
    check_record,
    load,
    or_default,
    reject_options,
)
from keras_unrolled.paths import name_place


def add(commands):
    """Adds the commands of this group."""
    command = add_command(
        commands,
        run_evaluate,
        "evaluate",
        "Score a preset on labeled images, or a language model on a text.",
        examples=[
            "evaluate highway_bn_cifar10",
            "evaluate highway_bn_cifar10 --dataset cifar10 --data-dir DIR --json",
            "evaluate flowers/ --dataset pictures/ --report report/",
            "evaluate highway_small_ptb --data-dir ptb/ --report report/",
        ],
    )
    command.add_argument("preset", help=PRESET)
    add_data(command)
    command.add_argument(
        "--soft-labels",
        metavar="FILE",
        help="People's answers to all images of the data set, in its published order: an .npy file such as "
        "cifar10h-probs.npy of CIFAR-10H.",
    )
    _add_report(command)


def _add_report(command):
    """Adds the options of a report."""
    add = command.add_argument
    add(
        *("--report",),
        metavar="FOLDER",
        help="Also write a report on a classifier (calibration, worst pictures, labels that may be wrong, "
        "near-duplicates) or a language model (rare words, worst sentences, calibration).",
    )
    add(
        *("--calibrate-on",),
        metavar="NAME|FOLDER|ZIP|CSV|ADDRESS",
        help="Images that choose the temperature of the report, such as cifar10:train[45000:] (default: a "
        "random half of those that are scored).",
    )
    add(
        *("--seed",),
        type=int,
        metavar="N",
        help="Seed of that random half (default: 0).",
    )
    add("--overwrite", action="store_true", help="Replace a report at FOLDER.")


def _check_report(options):
    """Rejects options of a report without one."""
    if options.report is None:
        names = ["calibrate_on", "seed", "overwrite"]
        reject_options(options, names, "scores without a report (--report FOLDER)")
    if options.seed is not None:
        checks.whole("--seed", options.seed, least=0, most=2**32 - 1)


def run_evaluate(options):
    _check_report(options)
    check_data(options, [options.preset])
    from keras_unrolled.reporting.diagnosis.scoring import evaluate

    model = _load(options, options.preset)
    result = evaluate(
        model,
        or_default(options.dataset, "sample"),
        data_dir=options.data_dir,
        split=or_default(options.split, "test"),
        limit=options.limit,
        batch_size=or_default(options.batch_size, 1),
        skip_broken=options.skip_broken,
        soft_labels=options.soft_labels,
        report=options.report,
        calibrate_on=options.calibrate_on,
        seed=or_default(options.seed, 0),
        overwrite=options.overwrite,
    )
    result["preset"] = str(options.preset)
    return result, _describe(result)


def _describe(result):
    if "perplexity" in result:
        words = checks.count(result["tokens"], "word")
        text = "{preset}: perplexity {perplexity:.2f} of {0}, {split}".format(words, **result)
        if result["unknown"]:
            text += "; not in the vocabulary: {unknown:,}".format(**result)
        if "report" in result:
            text += (
                "\nthe likeliest word is the next one: {accuracy:.2%}, with a mean probability of "
                "{confidence:.2%} and a calibration error of {calibration_error:.2%}\n"
                "written in {seconds:.0f} seconds: {report}"
            ).format(**result)
        return text
    text = "{preset}: {accuracy:.2%} of ".format(**result)
    text += f"{checks.count(result['n'], 'image')}, {name_data(result)}"
    if "top_5_accuracy" in result:
        text += "; {top_5_accuracy:.2%} among the first five".format(**result)
    if "people" in result:
        people = result["people"]
        calibrated = ", {calibrated:.4f} calibrated" if "calibrated" in people else ""
        text += (
            f"\ncross-entropy with people's answers {{cross_entropy:.4f}}{calibrated} (at least {{entropy:.4f}}); the "
            "answer of most people {agreement:.2%}"
        ).format(**people)
    if "report" in result:
        text += _describe_report(result)
    return add_notes(text, result)


def _describe_report(result):
    """The other figures of a report, a line each."""
    calibration, mirror = result["calibration"], result["mirror"]
    before, after = (calibration[k]["calibration_error"] for k in ("before", "after"))
    return "\n".join(
        [
            " (95%: {low:.2%} to {high:.2%})".format(**result),
            f"averaged over mirror images: {mirror['averaged']:.2%}",
            "negative log-likelihood {negative_log_likelihood:.4f}, Brier score {brier:.4f}, calibration "
            "error {calibration_error:.2%}".format(**result),
            f"temperature {calibration['temperature']:.3f}: calibration error {before:.2%} to {after:.2%}, "
            f"chosen on {calibration['chosen_on']}",
            f"{checks.count(result['suspects'], 'label')} may be wrong, "
            f"{checks.count(result['duplicates'], 'pair')} of near-duplicates, "
            f"{checks.count(result['unusual_sizes'], 'picture')} of unusual size",
            "written in {seconds:.0f} seconds: {report}".format(**result),
        ]
    )


def add_notes(text, result):
    """The text, with a line for each note of the result."""
    return "\n".join([text, *(f"note: {note}" for note in result.get("notes", ()))])


def name_data(result):
    """Data set and split; once where the path of a folder or file is both."""
    return name_place(result["dataset"], result["split"])


def check_data(options, presets):
    """Rejects impossible values, and options that do not apply, before a model is loaded."""
    if options.limit is not None:
        checks.whole("--limit", options.limit, least=1, most=10**9)
    if options.batch_size is not None:
        checks.whole("--batch-size", options.batch_size, least=1, most=10_000)
    if options.split is not None:
        checks.one_of("--split", options.split, ("test", "valid", "train"))
    for preset in presets:
        check_record(preset, lambda is_text: _check_task(options, is_text))


def _check_task(options, is_text):
    if not is_text:
        calibrates = getattr(options, "calibrate_on", None) is not None
        if options.dataset in (None, "sample") and not calibrates:
            reject_options(
                options, ["data_dir"], "the bundled sample (--dataset cifar10 reads TFDS)"
            )
        return reject_options(options, ["split", "batch_size"], "a classifier of images")
    names = ["dataset", "skip_broken", "calibrate_on", "seed", "soft_labels"]
    names = [name for name in names if hasattr(options, name)]  # compare has no report
    reject_options(options, names, "a language model")
    if options.data_dir is None:
        raise checks.InputError(
            "Expected --data-dir, the folder of the text, for a language model. Received none. "
            "Pass --data-dir DIR with test.txt in it."
        )


def _load(options, preset):
    return load(preset, lambda is_text: _check_task(options, is_text))


def read_text(options):
    """The requested part of a text, and the parts that are read in parallel."""
    from keras_unrolled import data

    split = or_default(options.split, "test")
    words = data.read_words(options.data_dir, split)[: options.limit]
    return split, words, or_default(options.batch_size, 1)
