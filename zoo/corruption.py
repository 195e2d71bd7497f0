"""Scores the 20-layer CIFAR-10 presets on CIFAR-10-C, regenerated: by kind and severity of corruption.

    python -m zoo.corruption [--tfds DIR] [--count N] [--severities 1 3 5] [--answers FILE]

The pictures are the 1,000 bundled ones of the test set or, with `--tfds`, those in TFDS's data directory; N
chooses the first of them, evenly over the classes. Rewrites zoo/results/corruption.csv, with a row for each
preset, kind and severity (0 for the pictures as they are), and the tables in docs/results.md. FILE keeps which
pictures each network has right: if it is there, nothing is measured again.
"""

import argparse
import csv
import io
import sys
from pathlib import Path

import numpy as np

from keras_unrolled import checks, convert, data, evaluation, quiet
from keras_unrolled.data.corruptions import KINDS, SEVERITIES, corrupt
from keras_unrolled.files import write_text
from keras_unrolled.presets.loading import from_preset
from keras_unrolled.progress import progress
from zoo.build import RESULTS, ROOT, fill
from zoo.compare import list_twenty_layers

PAGE, TABLE = ROOT / "docs/results.md", RESULTS / "corruption.csv"
CLEAN = ("clean", 0)
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
DRAWS = 2_000  # of the bootstrap over pictures, and of the permutations


def choose_first(labels, count):
    """The places of the first `count` pictures, evenly over the classes, in their order."""
    classes = labels.max() + 1
    if count % classes or (np.bincount(labels) < count // classes).any():
        raise checks.InputError(
            f"Expected a multiple of {classes} pictures of which each class has its share. Received: "
            f"{count}. Choose a smaller one."
        )
    chosen = [np.flatnonzero(labels == i)[: count // classes] for i in range(classes)]
    return np.sort(np.concatenate(chosen))


def measure(presets, examples, severities):
    """What each preset has right.

    Args:
        presets: list of names.
        examples: `Examples`, 32 x 32 pixels.
        severities: list of ints.

    Returns:
        A dict from a kind and a severity, `CLEAN` first, to a bool array `(presets, images)`.
    """
    conditions = [CLEAN, *((kind, severity) for kind in KINDS for severity in severities)]
    images = [
        examples.images if pair == CLEAN else corrupt(examples.images, *pair)
        for pair in progress(conditions, description="corruptions")
    ]
    answers = np.zeros((len(conditions), len(presets), len(examples)), bool)
    everything = np.concatenate(images)  # one call for each network: each call compiles it
    for i, name in enumerate(presets):
        model = convert.fold(from_preset(name))  # the same function, with fewer operations
        scores = evaluation.predict(model, everything, progress=name)
        found = scores.argmax(-1).reshape(len(conditions), len(examples))
        answers[:, i] = found == examples.labels
    return dict(zip(conditions, answers))


def load_answers(path, presets):
    """The answers in a file, for these presets."""
    with np.load(path, allow_pickle=False) as file:
        if file["presets"].tolist() != presets:
            raise checks.InputError(
                f"Expected the answers of {', '.join(presets)} in {path}. It has those of others. "
                "Remove it."
            )
        kinds, severities = file["kinds"].tolist(), file["severities"].tolist()
        return dict(zip(zip(kinds, severities), file["right"]))


def save_answers(path, presets, answers):
    """Writes answers to a file, as `load_answers` reads them."""
    kinds, severities = zip(*answers)
    right = np.stack(list(answers.values()))
    np.savez_compressed(path, presets=presets, kinds=kinds, severities=severities, right=right)


def make_rows(records, answers):
    """The rows of the CSV: the accuracy of each preset on each kind and severity."""
    return [
        {
            "preset": name,
            "gating": records[name].network["gating"],
            "kind": kind,
            "severity": severity,
            "n": right.shape[1],
            "accuracy": round(float(right[i].mean()), 6),
        }
        for i, name in enumerate(records)
        for (kind, severity), right in answers.items()
    ]


def average(answers, kinds=tuple(KINDS)):
    """The share of the corruptions of some kinds under which each preset has each picture right.

    Returns:
        A float array `(presets, images)`; its mean over the images is a mean accuracy over kinds and
        severities.
    """
    return np.mean([right for (kind, _), right in answers.items() if kind in kinds], axis=0)


def draw_pictures(n, seed=0):
    """Places of pictures with replacement, an int array `(DRAWS, n)`."""
    return np.random.default_rng(seed).integers(0, n, (DRAWS, n))


def make_table(records, answers):
    """The scores of each preset, the best one first, with intervals over pictures."""
    total = average(answers)
    draws = total[:, draw_pictures(total.shape[1])].mean(-1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    lines = [
        f"| preset | gating | test accuracy | accuracy on these {total.shape[1]:,} | "
        + " | ".join(GROUPS)
        + " | mean of all corruptions (95%) |",
        "|---|---|" + "---:|" * (len(GROUPS) + 2) + "---|",
    ]
    names = list(records)
    for i in np.argsort(-total.mean(-1)):
        groups = [f"{average(answers, kinds)[i].mean():.1%}" for kinds in GROUPS.values()]
        cells = [
            f"`{names[i]}`",
            records[names[i]].network["gating"],
            f"{find_accuracy(records[names[i]]):.2%}",
            f"{answers[CLEAN][i].mean():.1%}",
            *groups,
            f"{total[i].mean():.1%} ({low[i]:.1%} to {high[i]:.1%})",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def find_accuracy(record):
    """The accuracy on the whole test set that a record has."""
    return next(
        row["value"]
        for row in record.metrics
        if (row["metric"], row["split"]) == ("accuracy", "test")
    )


def correlate(clean, corrupted, draws):
    """How far clean accuracy goes with mean accuracy on corrupted pictures, over networks.

    Args:
        clean: float array `(networks,)`.
        corrupted: float array `(networks,)`.
        draws: float array `(networks, DRAWS)`, `corrupted` for pictures drawn with replacement.

    Returns:
        A dict: "n", "r" (Pearson), "low" and "high", its 95% interval over networks (Fisher's z), "p" of
        as large an |r| under permutations, "slope", and "residuals", "residual_low" and "residual_high",
        the distance of each network from the line with its 95% interval over pictures.
    """
    n = len(clean)
    r = np.corrcoef(clean, corrupted)[0, 1]
    margin = 1.959964 / np.sqrt(n - 3)
    rng = np.random.default_rng(0)
    others = [abs(np.corrcoef(rng.permutation(clean), corrupted)[0, 1]) for _ in range(DRAWS)]
    slope, _ = np.polyfit(clean, corrupted, 1)

    def leave(values):
        """What is left of values `(networks, ...)` after a straight line."""
        design = np.stack([clean, np.ones(n)], axis=1)
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    low, high = np.quantile(leave(draws), [0.025, 0.975], axis=1)
    return {
        "n": n,
        "r": r,
        "low": np.tanh(np.arctanh(r) - margin),
        "high": np.tanh(np.arctanh(r) + margin),
        "p": (1 + sum(o >= abs(r) - 1e-12 for o in others)) / (1 + DRAWS),
        "slope": slope,
        "residuals": leave(corrupted),
        "residual_low": low,
        "residual_high": high,
    }


def make_answers_table(records, answers):
    """What clean accuracy explains: correlations, and the distance of each network from the line."""
    names = np.array(list(records))
    total = average(answers)
    draws = total[:, draw_pictures(total.shape[1])].mean(-1)
    clean = np.array([find_accuracy(record) for record in records.values()])
    with_norm = np.array(["nobn" not in name for name in names])
    lines = [
        "| networks | n | correlation of clean and corrupted accuracy (95%) | p | points per point | "
        "farthest from the line (95% over pictures) |",
        "|---|---:|---|---:|---:|---|",
    ]
    for title, part in (("all", with_norm | True), ("with batch normalization", with_norm)):
        row = correlate(clean[part], total[part].mean(-1), draws[part])
        far = int(np.abs(row["residuals"]).argmax())
        lines.append(
            f"| {title} | {row['n']} | {row['r']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f}) | "
            f"{row['p']:.2g} | {row['slope']:.1f} | `{names[part][far]}` {row['residuals'][far]:+.1%} "
            f"({row['residual_low'][far]:+.1%} to {row['residual_high'][far]:+.1%}) |"
        )
    return "\n".join(lines)


def write_results(records, answers):
    """Rewrites the CSV and the page."""
    file = io.StringIO()
    rows = make_rows(records, answers)
    table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    page = PAGE.read_text(encoding="utf-8")
    page = fill(page, "corruption scores", "zoo.corruption", make_table(records, answers))
    page = fill(page, "corruption answer", "zoo.corruption", make_answers_table(records, answers))
    write_text(TABLE, file.getvalue())
    write_text(PAGE, page)


def main(arguments=None):
    """Scores the presets and writes the results; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.corruption",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--tfds", help="TFDS's data directory, for more pictures.")
    parser.add_argument("--count", type=int, default=1000, help="Pictures (default: 1000).")
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 3, 5], choices=SEVERITIES)
    parser.add_argument("--answers", type=Path, help="File of answers to keep, or to use again.")
    options = parser.parse_args(arguments)
    quiet.import_keras()
    try:
        records = list_twenty_layers()
        write_results(records, find_answers(list(records), options))
    except checks.InputError as error:
        print(f"zoo.corruption: {error}", file=sys.stderr)
        return 2
    return 0


def find_answers(presets, options):
    """The answers of the presets: from the file that keeps them, or measured and kept."""
    if options.answers and options.answers.exists():
        return load_answers(options.answers, presets)
    examples = data.load_cifar10(options.tfds, "test") if options.tfds else data.load_sample()
    examples = examples.take(choose_first(examples.labels, options.count))
    answers = measure(presets, examples, sorted(set(options.severities)))
    if options.answers:
        save_answers(options.answers, presets, answers)
    return answers


if __name__ == "__main__":
    sys.exit(main())
