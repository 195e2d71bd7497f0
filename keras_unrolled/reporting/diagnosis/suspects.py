"""The sections of a report on labels that may be wrong."""

import numpy as np

from keras_unrolled import checks
from keras_unrolled.reporting.diagnosis.findings import WORST, Findings
from keras_unrolled.reporting.diagnosis.folds import FOLDS
from keras_unrolled.reporting.diagnosis.pictures import encode_pictures
from keras_unrolled.reporting.diagnosis.tables import show_percent
from keras_unrolled.reporting.diagnosis.training_labels import TrainingLabels
from keras_unrolled.reporting.html import Page

METHOD = (
    "By confident learning (Northcutt, Jiang & Chuang 2021): an image counts as the likeliest of the "
    "classes whose probability is at or above the mean that images labeled so have. The counts "
    "estimate {count}. Shown are as many images, the ones with the lowest probability of their label among those "
    "that are answered otherwise."
)


def report_suspects(page: Page, found: Findings) -> None:
    """Adds the section on the images that were scored.

    Args:
        page: `Page`.
        found: `Findings`.
    """
    page.section("Labels that may be wrong", "suspects")
    wrong = float(np.mean(found.answers != found.examples.labels))
    page.paragraph(
        f"{_describe_method(found.suspects)} The "
        "probabilities are the network's own, of the image as it is: nothing was trained for it. "
        f"{found.origin} A suspicion is no proof: hard pictures are among them, and the network itself errs on "
        f"{show_percent(wrong, 1)} of the images: the more it errs, the more of these labels are right."
    )
    _show(page, found, "suspects.csv", found.few_pixels)


def report_training_labels(page: Page, found: TrainingLabels, few_pixels: bool) -> None:
    """Adds the section on the images that were trained on.

    Args:
        page: `Page`.
        found: `TrainingLabels`.
        few_pixels: bool, whether pictures are so small that their pixels are shown.
    """
    page.section("Labels of training images that may be wrong", "training-suspects")
    if found.problem:
        page.paragraph(found.problem)
        return
    part = f"{len(found.examples):,}"
    if len(found.examples) < found.total:
        part += f" of {found.total:,}, drawn evenly over the classes"
    page.paragraph(
        f"{_describe_method(found.suspects)} The fine-tuned network has learned labels of these images by heart, "
        "wrong ones too, so that its own probabilities say little. These are out of fold: from the network as it was "
        f"before the fine-tuning, the images ({part}) got features, the pooled output of its last stage. On the "
        f"features of all but a part of the images a linear classifier was trained, which answered that part; "
        f"{FOLDS} times. {found.origin}".strip()
    )
    page.paragraph(
        f"Out of fold {show_percent(found.accuracy)} of the images are answered as they are labeled. The lower this "
        "is, the more of the suspicions are pictures that such features do not tell apart, with a right label."
    )
    _show(page, found, "training_suspects.csv", few_pixels)


def _describe_method(suspects):
    return METHOD.format(count=checks.count(len(suspects), "wrong label"))


def _show(page, found, file, few_pixels):
    suspects, examples, pictures = found.suspects, found.examples, found.pictures
    if not suspects:
        page.paragraph("No label is suspected.")
        return
    shown, names = suspects[:WORST], examples.names
    encoded = encode_pictures(examples.images, [row["number"] for row in shown])
    items = [
        (
            [encoded[row["number"]]],
            [
                f"label {names[row['label']]} {show_percent(row['label_probability'], 1)}",
                f"suggested {names[row['suggested']]} {show_percent(row['suggested_probability'], 1)}",
                f"`{pictures[row['number']]}`",
            ],
        )
        for row in shown
    ]
    page.gallery(items, few_pixels)
    page.paragraph(f"The first {len(shown)} of {len(suspects):,}, as in `{file}`.")
