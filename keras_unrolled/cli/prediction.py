"""Commands that use presets: predict for images, generate for text."""

import csv
import glob
import io
import os
import sys
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.cli.options import PRESET, add_command, load, or_default, reject_options

SAMPLERS = ("greedy", "top_k", "top_p", "random", "beam")
IMAGE_OPTIONS = ("files",)
TEXT_OPTIONS = ("words", "sampler", "seed", "probabilities")
TOP, WORDS, SAMPLER, SEED = 5, 30, "top_p", 0


def add(commands):
    """Adds the commands of this group."""
    command = add_command(
        commands,
        run_predict,
        "predict",
        "Classify image files.",
        examples=[
            "predict highway_bn_cifar10 photo.jpg",
            "predict flowers/ pictures/ --top 1 --json",
            "predict highway_bn_cifar10 photo.jpg --calibrated",
        ],
    )
    command.add_argument("preset", help=PRESET)
    command.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="Image files, folders (with the folders in them) or glob patterns.",
    )
    command.add_argument(
        "--top", type=int, metavar="K", help=f"Number of classes to name (default: {TOP})."
    )
    command.add_argument(
        "--csv", action="store_true", help="Print a table of comma-separated values."
    )
    command.add_argument(
        "--calibrated",
        action="store_true",
        help="Divide the scores by the temperature of the preset's record, so that the probabilities fit.",
    )
    command.add_argument(
        "--prompt", metavar="TEXT", help="Text to continue, as keras-unrolled generate does."
    )
    _add_text_options(command)

    command = add_command(
        commands,
        run_generate,
        "generate",
        "Continue a text with a language model.",
        examples=[
            'generate highway_small_ptb --prompt "the company said"',
            'generate highway_small_ptb --prompt "the" --sampler greedy --probabilities',
        ],
    )
    command.add_argument("preset", help=PRESET)
    command.add_argument("--prompt", required=True, metavar="TEXT", help="Text to continue.")
    command.add_argument(
        "--top",
        type=int,
        metavar="K",
        help=f"Number of words that --probabilities names (default: {TOP}).",
    )
    _add_text_options(command)


def _add_text_options(command):
    add = command.add_argument
    add("--words", type=int, metavar="N", help=f"Number of words to write (default: {WORDS}).")
    add(
        *("--sampler",),
        metavar="NAME",
        help=f"Sampler that picks the next word: {', '.join(SAMPLERS)} (default: {SAMPLER}).",
    )
    add("--seed", type=int, help=f"Seed of the sampler (default: {SEED}).")
    add(
        *("--probabilities",),
        action="store_true",
        help="Also print the likeliest next words after each word.",
    )


def run_predict(options):
    from keras_unrolled import data, evaluation
    from keras_unrolled.data.broken import find_broken
    from keras_unrolled.presets.calibration import find_temperature

    if (options.prompt is None) == (not options.files):
        raise checks.InputError(
            "Expected image files for a classifier, or --prompt for a language model. Received "
            f"{'both' if options.files else 'neither'}. Pass one of them."
        )
    if options.prompt is not None:
        reject_options(options, ["csv", "calibrated"], "a text")
        return run_generate(options)
    reject_options(options, TEXT_OPTIONS, "a classifier of images")
    if options.csv:
        reject_options(options, ["json"], "a table (--csv)")
    top = checks.whole("--top", or_default(options.top, TOP), least=1, most=10**6)
    paths = find_files(options.files)

    def check(is_text):
        if is_text:
            raise checks.InputError(
                f"Expected a classifier for image files. {options.preset} is a language model. "
                'Use keras-unrolled generate --prompt "the company said".'
            )

    model = load(options.preset, check)
    temperature = find_temperature(model) if options.calibrated else 1.0
    broken = find_broken(data.ImageFiles(paths))
    good = [path for i, path in enumerate(paths) if i not in broken]
    if not good:
        raise checks.InputError(
            f"Expected an image that decodes. {'; '.join(broken.values())}. Fix or remove it."
        )
    scores = evaluation.predict(model, data.ImageFiles(good))
    best = iter(model.decode(scores, top=top, temperature=temperature))
    result, lines = [], []
    for i, path in enumerate(paths):
        if i in broken:
            result.append({"file": path, "error": broken[i]})
            continue
        pairs = next(best)
        predictions = [{"label": label, "probability": p} for label, p in pairs]
        result.append({"file": path, "predictions": predictions})
        lines.append(f"{path}: " + ", ".join(f"{label} {p:.1%}" for label, p in pairs))
    if broken:
        lines_of_error = [*broken.values(), "Fix these files or leave them out."]
        print("\n".join(f"keras-unrolled predict: {b}" for b in lines_of_error), file=sys.stderr)
        options.exit_code = 2
    return result, _make_csv(result) if options.csv else "\n".join(lines)


def _make_csv(rows):
    """A line for each prediction, with its rank, and one for each file that does not decode."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "rank", "label", "probability", "error"])
    for row in rows:
        for rank, answer in enumerate(row.get("predictions", ()), start=1):
            table.writerow([row["file"], rank, answer["label"], answer["probability"], ""])
        if "error" in row:
            table.writerow([row["file"], "", "", "", row["error"]])
    return text.getvalue().rstrip("\n")


def find_files(arguments):
    """The image files that a list of files, folders and glob patterns stands for.

    Hidden files, those of the system and presets are left out; so are files of other kinds, which
    are counted on standard error.

    Raises:
        InputError: for a folder without images and a pattern without a match.
    """
    from keras_unrolled.data.decoding import SUFFIXES, check_exists
    from keras_unrolled.data.listing import count_kinds, is_image, walk

    paths = []
    for argument in arguments:
        place = checks.expand(argument)
        if os.path.isdir(place):
            found = list(walk(place, skip_closed=True))
        elif not os.path.exists(place) and any(c in argument for c in "*?["):
            found = _match(place)
        else:
            found = [place]
            check_exists(place)
        matches = [place] if found == [place] else sorted(filter(is_image, found))
        if not matches:
            raise checks.InputError(
                f"Expected image files ({', '.join(SUFFIXES)}) in {argument}. Found none. Check "
                "the path."
            )
        if len(matches) < len(found):
            print(
                f"keras-unrolled predict: left out {checks.count(len(found) - len(matches), 'file')} in "
                f"{argument}: {count_kinds(set(found) - set(matches))}",
                file=sys.stderr,
            )
        paths += [str(path) for path in matches]
    return paths


def _match(pattern):
    """The files that a pattern stands for, and those in the folders that it does."""
    from keras_unrolled.data.listing import is_system, walk

    base, rest = Path(pattern.anchor), list(pattern.parts[pattern.anchor != "" :])
    while len(rest) > 1 and os.path.isdir(base / rest[0]):  # a folder may be named "photos [1]"
        base = base / rest.pop(0)
    found: list[Path] = []
    for name in glob.glob(str(Path(*rest)), root_dir=base, recursive=True):
        if not any(is_system(part) for part in Path(name).parts):
            path = base / name
            found += walk(path, skip_closed=True) if os.path.isdir(path) else [path]
    return sorted(set(found))


def run_generate(options):
    import keras_hub

    words = checks.whole("--words", or_default(options.words, WORDS), least=1, most=100_000)
    sampler = checks.one_of("--sampler", or_default(options.sampler, SAMPLER), SAMPLERS)
    seed = checks.whole("--seed", or_default(options.seed, SEED), least=0, most=2**31 - 1)
    top = checks.whole("--top", or_default(options.top, TOP), least=1, most=10**6)
    if not options.probabilities:
        reject_options(options, ["top"], "a text without --probabilities")
    if sampler in ("greedy", "beam"):
        reject_options(options, ["seed"], f"the sampler {sampler}")

    def check(is_text):
        if not is_text:
            raise checks.InputError(
                f"Expected a language model for --prompt. {options.preset} is a classifier. Use "
                "keras-unrolled predict with image files."
            )

    model = load(options.preset, check)
    config = {} if sampler in ("greedy", "beam") else {"seed": seed}
    model.compile(sampler=keras_hub.samplers.get({"class_name": sampler, "config": config}))
    tokenizer = model.preprocessor.tokenizer
    length = 1 + len(tokenizer.split(options.prompt)) + words
    written = model.generate(
        options.prompt, max_length=length, stop_token_ids=None, strip_prompt=True
    )
    result = {"preset": str(options.preset), "prompt": options.prompt, "text": written}
    text = f"{options.prompt} {written}".strip()
    unknown = tokenizer.unknown(options.prompt)
    if unknown:
        result["unknown"] = unknown
        text += f"\n\nnot in the vocabulary, read by their characters: {', '.join(unknown)}"
    if options.probabilities:
        result["next"] = model.next_words(f"{options.prompt} {written}", top)
        text += "\n\n" + _format_next_words(result["next"])
    return result, text


def _format_next_words(rows):
    return "\n".join(
        f"{row['after']:>20}  "
        + ", ".join(f"{n['word']} {n['probability']:.1%}" for n in row["likeliest"])
        for row in rows
    )
