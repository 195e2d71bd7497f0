"""The command that compares presets."""

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command, add_data, check_record, load, or_default
from keras_unrolled.cli.scoring import add_notes, check_data, name_data, read_text

PUBLISHED = "published:"


def add(commands):
    """Adds the command."""
    command = add_command(
        commands,
        run_compare,
        "compare",
        "Test whether two presets differ by more than chance on the same data.",
        examples=[
            "compare highway_bn_cifar10 resnet_bn_cifar10 --dataset cifar10 --data-dir DIR",
            "compare highway_bn_cifar10 published:answers.npy --dataset cifar10 --data-dir DIR",
        ],
    )
    command.add_argument(
        *("presets",),
        nargs=2,
        metavar="PRESET",
        help=f"{PRESET} One may be published:FILE, the answers of another network to all images of the data set in "
        "its published order: an .npy file of class numbers or scores, or a CSV file with a column prediction.",
    )
    add_data(command)


def run_compare(options):
    tasks: set[bool] = set()

    def check(is_text):
        tasks.add(is_text)
        if len(tasks) > 1:
            raise checks.InputError(
                "Expected two presets for the same task. Received a language model and a "
                f"classifier: {', '.join(options.presets)}. Compare two of the same kind."
            )

    presets = [preset for preset in options.presets if not preset.startswith(PUBLISHED)]
    if not presets:
        raise checks.InputError(
            "Expected a preset and published answers. Received published answers twice. Name a preset."
        )
    for preset in presets:
        check_record(preset, check)
    check_data(options, presets)
    models = [load(p, check) if p in presets else None for p in options.presets]
    is_text = tasks.pop()
    if is_text and len(presets) == 1:
        raise checks.InputError(
            "Expected published answers for a classifier of images. Received a language model. Compare two models."
        )
    compare = _compare_texts if is_text else _compare_images
    result, text = compare(options, models)
    return {"presets": options.presets, **result}, text


def _compare_images(options, models):
    import numpy as np

    from keras_unrolled import evaluation
    from keras_unrolled.evaluation import comparison
    from keras_unrolled.presets.scoring import load_images

    right, notes = [], []
    for preset, model in zip(options.presets, models):
        dataset = or_default(options.dataset, "sample")
        examples, dataset = load_images(
            dataset,
            model or next(filter(None, models)),
            data_dir=options.data_dir,
            limit=options.limit,
            skip_broken=options.skip_broken,
        )
        if model is None:
            answers = evaluation.read_answers(preset.removeprefix(PUBLISHED), examples)
        else:
            answers = np.argmax(evaluation.predict(model, examples.images, progress=preset), -1)
        right.append(answers == examples.labels)
        notes += examples.notes
    row = comparison.compare_answers(*right)
    accuracies = [float(r.mean()) for r in right]
    result = {"dataset": str(dataset), "split": examples.split, "accuracies": accuracies, **row}
    if notes:
        result["notes"] = list(dict.fromkeys(notes))
    text = "{0}: {2:.2%}\n{1}: {3:.2%}\n".format(*options.presets, *accuracies)
    text += (  # in two steps, since names may have braces
        "difference {difference:+.2%} (95%: {low:+.2%} to {high:+.2%}), McNemar's exact p = {p:.2g}\n"
        "{count}, {data}; only the first is right on {only_first:,}, only the second "
        "on {only_second:,}"
    ).format(**result, data=name_data(result), count=checks.count(result["n"], "image"))
    return result, add_notes(text, result)


def _compare_texts(options, models):
    import numpy as np

    from keras_unrolled import evaluation
    from keras_unrolled.evaluation import comparison
    from keras_unrolled.models.character_tokenizer import END

    if models[0].vocabulary_size != models[1].vocabulary_size:
        raise checks.InputError(
            "Expected two models with one vocabulary, since perplexity depends on it. Received ones "
            "with {:,} and {:,} words. Compare models of the same text.".format(
                *(model.vocabulary_size for model in models)
            )
        )
    split, words, batch_size = read_text(options)
    first, second = (
        evaluation.text_losses(model, words, batch_size=batch_size, progress=preset)
        for preset, model in zip(options.presets, models)
    )
    row = comparison.compare_losses(first, second, np.array(words) == END)
    perplexities = [float(np.exp(losses.mean())) for losses in (first, second)]
    result = {"split": split, "perplexities": perplexities, **row}
    text = "{0}: perplexity {2:.2f}\n{1}: perplexity {3:.2f}\n".format(
        *options.presets, *perplexities
    )
    text += (
        "ratio {ratio:.4f} (95%: {low:.4f} to {high:.4f}), p = {p:.2g} by a bootstrap of sentences\n"
        "{n:,} words in {sentences:,} sentences, {split}"
    ).format(**result)
    return result, text
