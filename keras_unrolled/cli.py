"""The command line: `keras-unrolled list | show | evaluate | compare | verify | predict | finetune | convert |
publish | demo`.

Figures go to standard output, with `--json` for machines; progress goes to standard error.
Exit codes: 0 done, 2 bad input, 1 a fault of ours.
"""

import argparse
import importlib.metadata
import json
import os
import sys

from keras_unrolled import checks
from keras_unrolled.quiet import import_keras

SAMPLERS = ("greedy", "top_k", "top_p", "random", "beam")


def main(arguments=None):
    """Runs one command; returns its exit code."""
    options, rest = _parser().parse_known_args(arguments)
    if rest:
        # A list of files that may be empty ends at the first option: what follows it is left over.
        if options.command != "predict" or any(word.startswith("-") for word in rest):
            _parser().error(f"unrecognized arguments: {' '.join(rest)}")
        options.files += rest
    try:
        if options.run not in (_list, _show, _publish):
            import_keras()
        result, text = options.run(options)
    except checks.InputError as error:
        print(f"keras-unrolled {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"keras-unrolled {options.command}: interrupted", file=sys.stderr)
        return 130
    try:
        print(
            json.dumps(result, indent=1, ensure_ascii=False) if options.json else text, flush=True
        )
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-unrolled",
        description="Highway and Residual nets as unrolled iterative estimation.",
    )
    version = importlib.metadata.version("keras-unrolled")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(run, name, text):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
        return command

    command = add(_list, "list", "List presets.")
    command.add_argument("pattern", nargs="?", default="*", help='such as "highway*"')

    command = add(_show, "show", "Show the record of a preset.")
    command.add_argument("preset", help="name, folder or hf://org/name")

    command = add(_evaluate, "evaluate", "Score a preset on labelled images, or on text.")
    command.add_argument("preset", help="name, folder or hf://org/name")
    _add_data(command)

    command = add(
        _compare, "compare", "Say whether two presets differ by more than chance on the same data."
    )
    command.add_argument("presets", nargs=2, metavar="PRESET", help="name, folder or hf://org/name")
    _add_data(command)

    command = add(_verify, "verify", "Check a preset's files and what it computes.")
    command.add_argument("preset", help="name, folder or hf://org/name")

    command = add(_predict, "predict", "Name what is in image files, or go on with a text.")
    command.add_argument("preset", help="name, folder or hf://org/name")
    command.add_argument("files", nargs="*", metavar="FILE", help="images")
    command.add_argument("--top", type=int, default=5, metavar="K", help="classes or words (5)")
    command.add_argument("--prompt", metavar="TEXT", help="what a language model goes on with")
    command.add_argument("--words", type=int, default=30, metavar="N", help="to write (30)")
    command.add_argument(
        "--sampler", default="top_p", metavar="|".join(SAMPLERS), help="of words (top_p)"
    )
    command.add_argument("--seed", type=int, default=0, help="of the sampler (0)")
    command.add_argument(
        "--probabilities", action="store_true", help="the likeliest next words, for each word"
    )

    command = add(_finetune, "finetune", "Fine-tune a preset on one's own images.")
    command.add_argument("preset", help="name, folder or hf://org/name")
    command.add_argument(
        "--data",
        required=True,
        metavar="FOLDER|CSV|NAME",
        help="a folder with one folder a class (or with two such, train and val), a CSV file with "
        'the columns file and label, or a data set of TFDS such as "beans" or "beans:train"',
    )
    command.add_argument("--data-dir", help="TFDS's data directory")
    command.add_argument("--out", required=True, metavar="FOLDER", help="the preset to make")
    command.add_argument("--epochs", type=int, default=15, help="passes over the images (15)")
    command.add_argument("--batch-size", type=int, default=32, help="images a step (32)")
    command.add_argument(
        "--learning-rate", type=float, default=1e-4, help="of the whole network (0.0001)"
    )
    command.add_argument(
        "--head-learning-rate", type=float, default=1e-2, help="of the head, trained first (0.01)"
    )
    command.add_argument("--held-out", type=float, default=0.2, help="part to score on (0.2)")
    command.add_argument("--head-only", action="store_true", help="freeze all but the head")
    command.add_argument(
        "--stages", type=int, metavar="N", help="freeze all but the head and the last N stages"
    )
    command.add_argument(
        "--layer-decay",
        type=float,
        default=1.0,
        metavar="D",
        help="factor of the learning rate from block to block, from the head down (1)",
    )
    command.add_argument(
        "--balance", action="store_true", help="let rare classes weigh as much as frequent ones"
    )
    command.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N epochs without a better score, and keep the best (off)",
    )
    command.add_argument(
        "--precision", default="float32", metavar="float32|mixed_bfloat16|mixed_float16"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--overwrite", action="store_true", help="replace a preset at FOLDER")

    command = add(_convert, "convert", "Write a network with another gating, or in another layout.")
    command.add_argument(
        "preset", metavar="SOURCE", help="name, folder, file of keras.applications, hf://timm/NAME"
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="the folder to make")
    command.add_argument(
        "--gating", metavar="G", help="full, coupled, c_only or t_only, from a Residual net"
    )
    command.add_argument(
        "--layout", default="preset", metavar="preset|timm", help="of the folder (preset)"
    )
    command.add_argument("--revision", help="branch, tag or commit of a repository")
    command.add_argument("--overwrite", action="store_true", help="replace a preset at FOLDER")

    command = add(_publish, "publish", "Send a preset to the Hugging Face Hub.")
    command.add_argument("preset", metavar="FOLDER", help="folder or name")
    command.add_argument("uri", metavar="hf://ORG/NAME")
    command.add_argument("--private", action="store_true", help="if the repository is new")
    command.add_argument("--revision", metavar="BRANCH", help="branch to commit to (main)")
    command.add_argument("--message", help="of the commit")
    command.add_argument("--dry-run", action="store_true", help="check, and say what would go")

    command = add(_demo, "demo", "See the whole job done on what comes with the package.")
    command.add_argument(
        "--out", default="keras-unrolled-demo", help="folder of the files that it makes"
    )
    return parser


def _list(options):
    from keras_unrolled.presets.catalog import list_presets

    found = list_presets(options.pattern)
    return [record.to_dict() for record in found], str(found)


def _show(options):
    from keras_unrolled.presets.resolve import load_record

    record = load_record(options.preset)
    lines = []
    for key, value in record.to_dict().items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {k}: {v}" for k, v in value.items()]
        elif key in ("metrics", "papers", "labels"):
            lines.append(f"{key}:")
            lines += [f"  {item}" for item in value]
        else:
            lines.append(f"{key}: {value}")
    return record.to_dict(), "\n".join(lines)


def _evaluate(options):
    from keras_unrolled import evaluation
    from keras_unrolled.presets.loading import from_preset

    _check_data(options)
    model = from_preset(options.preset)
    if _is_text(model):
        return _evaluate_text(options, model)
    examples, dataset = _load_images(options, model)
    scores = evaluation.predict(model, examples.images, progress=str(options.preset))
    result = {
        "preset": str(options.preset),
        "dataset": dataset,
        "split": examples.split,
        "n": len(examples),
        "accuracy": evaluation.accuracy(scores, examples.labels),
    }
    text = "{preset}: {accuracy:.2%} of {n} images, {dataset}, {split}".format(**result)
    if scores.shape[-1] >= 100:
        result["top_5_accuracy"] = evaluation.accuracy(scores, examples.labels, top=5)
        text += "; {top_5_accuracy:.2%} among the first five".format(**result)
    return result, text


def _add_data(command):
    command.add_argument(
        "--dataset",
        default="sample",
        metavar="cifar10|imagenet2012|NAME|sample|FOLDER|CSV",
        help="a data set of TFDS: its test or validation split; the 1,000 images of CIFAR-10's "
        "test set that come with the package (default); a folder of class folders; or a CSV file "
        "with the columns file and label",
    )
    command.add_argument(
        "--data-dir", help="TFDS's data directory; for a language model a folder with test.txt"
    )
    command.add_argument(
        "--split", default="test", metavar="test|valid|train", help="of a text (test)"
    )
    command.add_argument("--batch-size", type=int, default=1, help="texts side by side (1)")
    command.add_argument("--limit", type=int, metavar="N", help="the first N images or words only")


def _check_data(options):
    if options.limit is not None:
        checks.whole("--limit", options.limit, least=1, most=10**9)
    checks.one_of("--split", options.split, ("test", "valid", "train"))
    checks.whole("--batch-size", options.batch_size, least=1, most=10_000)


def _load_images(options, model):
    """The labelled images asked for, in the order of the model's labels, and their data set's name."""
    from keras_unrolled import data

    dataset = options.dataset
    if dataset == "sample":
        examples, dataset = data.load_sample(), "cifar10"
    elif dataset == "cifar10":
        examples = data.load_cifar10(options.data_dir, "test")
    else:
        # ImageNet's test split has no labels.
        splits = ["validation"] if dataset == "imagenet2012" else ["test", "validation"]
        examples = data.load(dataset, options.data_dir, splits)
    examples = data.align(examples, model.labels)
    if options.limit is not None:
        examples = examples.part(examples.split, 0, options.limit)
    return examples, dataset


def _is_text(model):
    from keras_unrolled import models

    return isinstance(model, models.CharacterLM)


def _evaluate_text(options, model):
    from keras_unrolled import data, evaluation

    words = data.read_words(options.data_dir or ".", options.split)[: options.limit]
    found = evaluation.perplexity(
        model, words, batch_size=options.batch_size, progress=str(options.preset)
    )
    result = {"preset": str(options.preset), "split": options.split, **found}
    text = "{preset}: perplexity {perplexity:.2f} of {tokens:,} words, {split}".format(**result)
    if found["unknown"]:
        text += "; {unknown:,} of them are not in the vocabulary".format(**result)
    return result, text


def _compare(options):
    from keras_unrolled.presets.loading import from_preset

    _check_data(options)
    models = [from_preset(preset) for preset in options.presets]
    kinds = {_is_text(model) for model in models}
    if len(kinds) > 1:
        raise checks.InputError(
            f"Expected two presets of one kind. Received a language model and a classifier: "
            f"{', '.join(options.presets)}. Compare like with like."
        )
    compare = _compare_texts if kinds.pop() else _compare_images
    result, text = compare(options, models)
    return {"presets": options.presets, **result}, text


def _compare_images(options, models):
    import numpy as np

    from keras_unrolled import evaluation
    from keras_unrolled.evaluation import comparison

    right = []
    for preset, model in zip(options.presets, models):
        examples, dataset = _load_images(options, model)
        scores = evaluation.predict(model, examples.images, progress=preset)
        right.append(np.argmax(scores, -1) == examples.labels)
    found = comparison.compare_answers(*right)
    accuracies = [float(r.mean()) for r in right]
    result = {"dataset": dataset, "split": examples.split, "accuracies": accuracies, **found}
    text = (
        "{0}: {2:.2%}\n{1}: {3:.2%}\n".format(*options.presets, *accuracies)
        + "difference {difference:+.2%} (95 %: {low:+.2%} to {high:+.2%}), McNemar's exact p = {p:.2g}\n"
        "{n:,} images, {dataset}, {split}; right by the first alone {only_first:,}, by the second "
        "{only_second:,}"
    ).format(**result)
    return result, text


def _compare_texts(options, models):
    import numpy as np

    from keras_unrolled import data, evaluation
    from keras_unrolled.evaluation import comparison
    from keras_unrolled.models.character_tokenizer import END

    words = data.read_words(options.data_dir or ".", options.split)[: options.limit]
    if models[0].vocabulary_size != models[1].vocabulary_size:
        raise checks.InputError(
            "Expected two models of one vocabulary, since perplexity depends on it. Received ones of "
            "{:,} and {:,} words. Compare models of the same text.".format(
                *(model.vocabulary_size for model in models)
            )
        )
    first, second = (
        evaluation.text_losses(model, words, batch_size=options.batch_size, progress=preset)
        for preset, model in zip(options.presets, models)
    )
    found = comparison.compare_losses(first, second, np.array(words) == END)
    perplexities = [float(np.exp(losses.mean())) for losses in (first, second)]
    result = {"split": options.split, "perplexities": perplexities, **found}
    text = (
        "{0}: perplexity {2:.2f}\n{1}: perplexity {3:.2f}\n".format(*options.presets, *perplexities)
        + "ratio {ratio:.4f} (95 %: {low:.4f} to {high:.4f}), p = {p:.2g} by a bootstrap of sentences\n"
        "{n:,} words in {sentences:,} sentences, {split}"
    ).format(**result)
    return result, text


def _verify(options):
    from keras_unrolled.presets.verification import verify

    result = verify(options.preset)
    worst = max(result["differences"].values())
    text = (
        f"{result['preset']}: {result['files']} files as recorded, "
        f"{len(result['differences'])} golden outputs within {worst:.1e}"
    )
    return result, text


def _predict(options):
    from keras_unrolled import data, evaluation
    from keras_unrolled.presets.loading import from_preset

    checks.whole("--top", options.top, least=1, most=10**6)
    if (options.prompt is None) == (not options.files):
        raise checks.InputError(
            "Expected image files for a classifier, or --prompt for a language model. Received "
            f"{'both' if options.files else 'neither'}. Give one of them."
        )
    if options.prompt is not None:
        return _write(options)
    images = [data.read_image(file) for file in options.files]
    model = from_preset(options.preset)
    if _is_text(model):
        raise checks.InputError(
            f"Expected a classifier for image files. {options.preset} is a language model. Give it "
            'a text: --prompt "the company said".'
        )
    best = model.decode(evaluation.predict(model, images), top=options.top)
    result, lines = [], []
    for file, pairs in zip(options.files, best):
        found = [{"label": label, "probability": p} for label, p in pairs]
        result.append({"file": file, "predictions": found})
        lines.append(f"{file}: " + ", ".join(f"{label} {p:.1%}" for label, p in pairs))
    return result, "\n".join(lines)


def _write(options):
    import keras_hub

    from keras_unrolled.presets.loading import from_preset

    checks.whole("--words", options.words, least=1, most=100_000)
    checks.one_of("--sampler", options.sampler, SAMPLERS)
    checks.whole("--seed", options.seed, least=0, most=2**31 - 1)
    model = from_preset(options.preset)
    if not _is_text(model):
        raise checks.InputError(
            f"Expected a language model for --prompt. {options.preset} is a classifier. Give it "
            "image files."
        )
    seed = {} if options.sampler in ("greedy", "beam") else {"seed": options.seed}
    sampler = keras_hub.samplers.get({"class_name": options.sampler, "config": seed})
    model.compile(sampler=sampler)
    length = 1 + len(model.preprocessor.tokenizer.split(options.prompt)) + options.words
    written = model.generate(
        options.prompt, max_length=length, stop_token_ids=None, strip_prompt=True
    )
    result = {"preset": str(options.preset), "prompt": options.prompt, "text": written}
    text = f"{options.prompt} {written}".strip()
    strangers = model.preprocessor.tokenizer.unknown(options.prompt)
    if strangers:
        result["unknown"] = strangers
        text += f"\n\nnot in the vocabulary, read by their characters: {', '.join(strangers)}"
    if options.probabilities:
        result["next"] = model.next_words(f"{options.prompt} {written}", options.top)
        lines = [
            f"{row['after']:>20}  "
            + ", ".join(f"{n['word']} {n['probability']:.1%}" for n in row["likeliest"])
            for row in result["next"]
        ]
        text += "\n\n" + "\n".join(lines)
    return result, text


def _finetune(options):
    from keras_unrolled.finetune import finetune

    result = finetune(
        options.preset,
        options.data,
        options.out,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        head_learning_rate=options.head_learning_rate,
        held_out=options.held_out,
        head_only=options.head_only,
        stages=options.stages,
        layer_decay=options.layer_decay,
        balance=options.balance,
        patience=options.patience,
        precision=options.precision,
        data_dir=options.data_dir,
        seed=options.seed,
        overwrite=options.overwrite,
    )
    text = (
        "{preset}: {accuracy:.1%} of {n} images held out, {0} classes\n"
        "preset, curves.png, confusion.png, history.csv and held_out.csv: {out}"
    ).format(len(result["classes"]), **result)
    return result, text


def _convert(options):
    from keras_unrolled.presets.regated import convert_preset

    result = convert_preset(
        options.preset,
        options.out,
        gating=options.gating,
        layout=options.layout,
        overwrite=options.overwrite,
        revision=options.revision,
    )
    text = "{source} as {gating}, {parameters:,} parameters, layout {layout}: {out}".format(
        **result
    )
    return result, text


def _publish(options):
    from keras_unrolled.presets.publishing import upload_preset

    result = upload_preset(
        options.uri,
        options.preset,
        private=options.private,
        revision=options.revision,
        commit_message=options.message,
        dry_run=options.dry_run,
    )
    lines = [f"{size:>12,}  {path}" for path, size in result["files"].items()]
    lines += [f"    left out  {name}" for name in result["left_out"]]
    where = f"{result['repository']}, {result['revision']}"
    lines.append(result.get("url") or f"nothing was sent; this would go to {where}")
    return result, "\n".join(lines)


def _demo(options):
    from keras_unrolled.demo import demo

    result = demo(options.out)
    lines = [
        "{preset}: {accuracy:.1%} of {n} test images; {recorded:.2%} of all, by its record".format(
            **row
        )
        for row in result["presets"]
    ]
    lines.append(
        "five classes renamed: {accuracy:.1%} of {n} held out".format(**result["finetuned"])
    )
    lines.append(
        "{preset}, perplexity {recorded:.1f} by its record, writes: {text}".format(
            **result["language"]
        )
    )
    lines.append(f"made in {result['seconds']:.0f} seconds:")
    lines += [f"  {path}" for path in result["files"]]
    return result, "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
