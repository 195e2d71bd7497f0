"""The page of a report on a classifier."""

from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.evaluation.calibration import BINS
from keras_unrolled.paths import name_place
from keras_unrolled.reporting.diagnosis.duplicates import AREA, BITS, COSINE, LIKENESS, SHAPE
from keras_unrolled.reporting.diagnosis.findings import MAPPED, WORST, Findings
from keras_unrolled.reporting.diagnosis.pictures import encode_pictures
from keras_unrolled.reporting.diagnosis.suspects import report_suspects, report_training_labels
from keras_unrolled.reporting.diagnosis.tables import show_percent
from keras_unrolled.reporting.diagnosis.training import report_training
from keras_unrolled.reporting.html import Page

MOST_CLASSES = 100  # rows of the table of classes


def write_page(
    path: str | Path,
    found: Findings,
    result: dict[str, Any],
    drawn: dict[str, str | bytes],
    settings: dict[str, Any],
    tuned: dict[str, Any] | None = None,
) -> None:
    """Writes the page of a report.

    Args:
        path: where it goes.
        found: `Findings`.
        result: dict, as `summarize` gives it.
        drawn: dict from a figure's name to an SVG or a PNG.
        settings: dict of what the report states of its making.
        tuned: optional dict, what a fine-tuning returned.
    """
    place = name_place(found.dataset, found.examples.split)
    page = Page(
        f"How well {found.name} classifies",
        f"Measured on {checks.count(len(found.examples), 'image')} of {place}.",
    )
    _introduce(page, found, result)
    if tuned is not None:
        report_training(page, tuned, drawn)
    _report_classes(page, found, drawn)
    _report_calibration(page, found, result, drawn)
    _report_mirror(page, found)
    _report_worst(page, found)
    _report_maps(page, found, drawn)
    report_suspects(page, found)
    if found.training is not None:
        report_training_labels(page, found.training, found.few_pixels)
    _report_duplicates(page, found)
    _report_sizes(page, found)
    page.section("How this report was made", "settings")
    page.facts(settings, "Settings, data and versions.")
    files = [f"`{name}.csv`: {checks.count(len(t), 'row')}" for name, t in found.tables.items()]
    files += [f"`figures/{name}.png` and `figures/{name}.svg`" for name in drawn]
    page.note("Files next to this page", [*files, "`report.json`: the figures and settings"])
    page.write(path)


def _introduce(page, found, result):
    page.section("Summary", "summary")
    page.paragraph(
        f"The network answers {show_percent(result['accuracy'])} of {checks.count(result['n'], 'image')} right "
        f"(95% interval {show_percent(result['low'])} to {show_percent(result['high'])}, Wilson 1927). The interval "
        "is for images drawn like these; it covers neither another training run nor other kinds of images."
    )
    page.paragraph(found.origin)
    mirror, calibration = result["mirror"], result["calibration"]
    before, after = calibration["before"], calibration["after"]
    facts = {
        "accuracy": show_percent(result["accuracy"]),
        "among the first five": show_percent(result.get("top_5_accuracy")),
        "averaged over mirror images": show_percent(mirror["averaged"]),
        "negative log-likelihood": f"{result['negative_log_likelihood']:.4f} nats",
        "Brier score": f"{result['brier']:.4f}",
        "expected calibration error": show_percent(result["calibration_error"]),
        "temperature": f"{calibration['temperature']:.3f}, with which the calibration error goes from "
        f"{show_percent(before['calibration_error'])} to {show_percent(after['calibration_error'])}",
        "labels that may be wrong": f"{result['suspects']:,}",
        "pairs of near-duplicates": f"{result['duplicates']:,}",
        "pictures of unusual size": f"{result['unusual_sizes']:,}",
    }
    page.facts({k: v for k, v in facts.items() if v is not None}, "The figures at a glance.")
    page.note("About the data", [f"{note}." for note in found.notes])


def _report_classes(page, found, drawn):
    page.section("Classes", "classes")
    page.paragraph(
        "The accuracy of a class is the share of its images that are answered right, with its 95% interval; "
        "precision is the share of the answers of this class that are right."
    )
    table = found.tables["classes"]
    page.table(
        table.rows,
        table.columns,
        "The classes in the network's order, as in `classes.csv`.",
        MOST_CLASSES,
    )
    page.figure(
        drawn["confusion"],
        "Confusion matrix: rows are labels, columns answers; colors are shares of a row, numbers images.",
    )


def _report_calibration(page, found, result, drawn):
    page.section("Calibration", "calibration")
    calibration = result["calibration"]
    page.paragraph(
        "Of the answers that a calibrated network gives with a probability of 80%, 80% are right. The "
        f"expected calibration error puts the images into {BINS} bins of equal width by their largest "
        "probability, and is the mean distance of a bin's accuracy from its mean confidence, weighted by "
        "the images in it (Guo et al. 2017). The negative log-likelihood is the mean of the negative logarithm of "
        "the label's probability. "
        "The Brier score is the mean of the squared distances of the probabilities from 1 for the label and "
        "0 for the others, summed over the classes: from 0 to 2. All are better the smaller they are."
    )
    page.paragraph(
        f"Dividing the scores by the temperature {calibration['temperature']:.4g} changes no answer. It has the "
        f"least negative log-likelihood on {checks.count(calibration['n'], 'image')}: "
        f"{calibration['chosen_on']}. What it does is shown on images that did not choose it, in the rows of "
        "the table below the first, and in the figure."
    )
    table = found.tables["calibration"]
    page.table(table.rows, table.columns, "Scores of probabilities, as in `calibration.csv`.")
    page.figure(
        drawn["reliability"],
        "Reliability diagrams before and after the temperature: accuracy over confidence in each bin with "
        "its 95% interval, and the share of the images in it. Below the diagonal the network is too sure.",
    )


def _report_mirror(page, found):
    page.section("Averages over mirror images", "mirror")
    row = found.tables["mirror"].rows[0]
    page.paragraph(
        f"With the probabilities averaged over an image and its mirror image {show_percent(row['averaged'])} are "
        f"right in place of {show_percent(row['accuracy'])}: a difference of {100 * row['difference']:+.2f} points (95% "
        f"interval {100 * row['low']:+.2f} to {100 * row['high']:+.2f}, p = {row['p']:.2g} by McNemar's exact test). "
        "This takes twice the time, and no other figure of this report uses it."
    )


def _report_worst(page, found):
    page.section("Worst pictures", "worst")
    page.paragraph(
        f"The {min(WORST, len(found.worst))} pictures with the highest loss, the negative logarithm of the label's "
        "probability. Among them are hard pictures, wrong labels, and what the network has not learned."
    )
    rows = found.tables["images"].rows
    pictures = encode_pictures(found.examples.images, found.worst)
    items = []
    for i in found.worst:
        row = rows[i]
        verdict = f"answer {row['answer']} {show_percent(row['probability'], 1)}"
        own = f"label {row['label']} {show_percent(row['label_probability'], 1)}"
        items.append(
            ([pictures[i]], [own, verdict, f"loss {row['loss']:.2f}", f"`{row['image']}`"])
        )
    page.gallery(items, found.few_pixels)
    page.paragraph("All images are in `images.csv`. A number counts the images of the data from 0.")


def _report_maps(page, found, drawn):
    page.section("Where the network looks", "maps")
    gates = [each.gate for each in found.maps if each.gate is not None]
    about = "The network's transform gate is fixed, and there is no map of it."
    if gates:
        about = (
            "The third panel is the last block's transform gate T, averaged over the channels: the brighter, "
            "the more of the block's own estimate is taken, from "
            f"{min(gate.min() for gate in gates):.2f} to {max(gate.max() for gate in gates):.2f}."
        )
    page.paragraph(
        f"The first {min(MAPPED, len(found.maps))} of the worst pictures, as they are resized and cropped for the "
        "network. Next to each is the gradient-weighted class activation map of its answer (Grad-CAM, "
        "Selvaraju et al. 2017) on the last stage's output: red places speak for the answer, and each map is "
        "scaled to its own largest value. The map has few places and is blurred by enlarging; it shows what "
        f"the last stage reads out, not a cause of the error. {about}"
    )
    page.figure(
        drawn["maps"],
        "Pictures, maps of the answer"
        + (", and transform gates of the last block." * bool(gates) or "."),
    )


def _report_duplicates(page, found):
    page.section("Near-duplicates", "duplicates")
    page.paragraph(
        f"Pairs whose thumbnails in grey have a correlation of at least {LIKENESS:g}, as they are or with one "
        "shifted by a thirty-second of the picture; and pairs whose features, the pooled output of the "
        f"backbone, have a cosine of at least {COSINE:g}, and whose difference hashes of 8 x 8 differ in at "
        f"most {BITS} of 64 bits. Pictures with the same pixels always "
        "count. Duplicates with different labels are errors of one of them, and those in training and test "
        "data make scores too good; this looks within the data only."
    )
    if not found.pairs:
        page.paragraph("There are none.")
        return
    shown, names, labels = found.pairs[:WORST], found.examples.names, found.examples.labels
    pictures = encode_pictures(
        found.examples.images, [row[side] for row in shown for side in ("first", "second")]
    )
    items = []
    for row in shown:
        first, second = row["first"], row["second"]
        kinds = dict.fromkeys([names[labels[first]], names[labels[second]]])
        alike = "the same pixels" if row["identical"] else f"correlation {row['likeness']:.3f}"
        lines = [" and ".join(kinds), f"`{found.pictures[first]}` and `{found.pictures[second]}`"]
        lines.append(f"{alike}, {row['bits']} of 64 bits differ, cosine {row['cosine']:.3f}")
        items.append(([pictures[first], pictures[second]], lines))
    page.gallery(items, found.few_pixels)
    page.paragraph(f"The first {len(shown)} of {len(found.pairs):,}, as in `duplicates.csv`.")


def _report_sizes(page, found):
    page.section("Sizes", "sizes")
    sizes, table = found.seen.sizes, found.tables["sizes"]
    (low, left), (high, right) = sizes.min(0), sizes.max(0)
    if (low, left) == (high, right):
        page.paragraph(f"Every picture has {low} x {left} pixels (height x width).")
        return
    page.paragraph(
        f"Pictures are {low:,} to {high:,} pixels high and {left:,} to {right:,} wide. Unusual are those with "
        f"{AREA:g} times the pixels of the median picture or more, or a fourth or less, and those with {SHAPE:g} "
        "times its ratio of width to height or more, or half or less."
    )
    if len(table):
        page.table(table.rows, table.columns, "Pictures of unusual size, as in `sizes.csv`.")
    else:
        page.paragraph("There are none.")
