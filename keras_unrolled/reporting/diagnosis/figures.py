"""The figures of a report on a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled.analysis.drawing import WIDTH, draw
from keras_unrolled.analysis.plots import readable_names
from keras_unrolled.reporting.diagnosis.maps import Maps
from keras_unrolled.reporting.diagnosis.pictures import to_picture

MOST_NAMES, MOST_NUMBERS = 40, 20  # classes that are named, and whose counts are written
LONGEST = 32  # characters of a title above a picture
PANELS = 6  # in a row of maps


def plot_confusion(counts: np.ndarray, names: Sequence[str], path: str | Path) -> Path:
    """Draws a confusion matrix as shares of the rows.

    Args:
        counts: int array `(classes, classes)`; rows are labels, columns answers.
        names: list of strings; beyond 40 classes they are left out.
        path: where it goes, `.png` or `.svg`.

    Returns:
        The path.
    """
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))

    def plot(axis):
        image = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axis.figure.colorbar(image, label="share of the label's images")
        axis.set(xlabel="answer", ylabel="label")
        if len(names) > MOST_NAMES:
            return
        shown, fonts = readable_names(names)
        axis.set_xticks(range(len(names)), shown, rotation=90, fontfamily=fonts)
        axis.set_yticks(range(len(names)), shown, fontfamily=fonts)
        for row, column in zip(*np.nonzero(counts)) if len(names) <= MOST_NUMBERS else ():
            color = "white" if shares[row, column] > 0.5 else "black"
            style = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
            axis.text(column, row, f"{counts[row, column]}", **style)

    return draw(path, plot, height=0.85 * WIDTH)


def plot_reliability(rows: Sequence[dict[str, Any]], path: str | Path) -> Path:
    """Draws reliability diagrams side by side: accuracy over confidence, and how many answers.

    Args:
        rows: list of dicts, as `compare_calibration` gives them, those of one temperature after those of
            the other; or as `bin_confidence` does, which is one diagram.
        path: where it goes, `.png` or `.svg`.

    Returns:
        The path.
    """
    half = len(rows) // 2 if "temperature" in rows[0] else len(rows)
    parts = [rows[:half], rows[half:]] if half < len(rows) else [rows]

    def plot(*axes):
        for axis, part, title in zip(axes, parts, ("before", "after")):
            total = sum(row["n"] for row in part)
            middles = [(row["from"] + row["to"]) / 2 for row in part]
            shares = [row["n"] / total for row in part]
            axis.bar(middles, shares, 1 / half, color="0.85", label="share of the answers")
            axis.plot([0, 1], [0, 1], color="0.4", linewidth=1, linestyle="--", label="calibrated")
            full = [row for row in part if row["n"]]
            x, y = [row["confidence"] for row in full], [row["accuracy"] for row in full]
            below = [max(0.0, row["accuracy"] - row["low"]) for row in full]
            above = [max(0.0, row["high"] - row["accuracy"]) for row in full]
            style = {"marker": "o", "markersize": 4, "linewidth": 1, "elinewidth": 1, "capsize": 2}
            axis.errorbar(x, y, [below, above], label="accuracy, 95% interval", **style)
            axis.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1.02))
            if "temperature" in part[0]:
                axis.set_title(f"{title}: temperature {part[0]['temperature']:.3g}")
            axis.grid(alpha=0.3)
        axes[0].set_ylabel("accuracy")

    return draw(path, plot, columns=len(parts), height=3.3, sharey=True)


def plot_frequencies(rows: Sequence[dict[str, Any]], path: str | Path) -> Path:
    """Draws the perplexity of words by how frequent they are, and their share of the text.

    Args:
        rows: list of dicts with "frequency", "tokens" and "perplexity".
        path: where it goes, `.png` or `.svg`.

    Returns:
        The path.
    """
    total = sum(row["tokens"] for row in rows)

    def plot(*axes):
        places, names = range(len(rows)), [row["frequency"] for row in rows]
        values = {
            "perplexity": [row["perplexity"] for row in rows],
            "share of the text": [row["tokens"] / total for row in rows],
        }
        for axis, (label, heights) in zip(axes, values.items()):
            axis.bar(places, heights)
            axis.set_xticks(places, names, rotation=30, ha="right")
            axis.set(xlabel="occurrences", ylabel=label)
            axis.grid(alpha=0.3, axis="y")
        axes[0].set_yscale("log")

    return draw(path, plot, columns=2, height=3.3)


def plot_maps(maps: Sequence[Maps], titles: Sequence[str], path: str | Path) -> Path:
    """Draws pictures, each with the map of its answer and that of the last gate where there is one.

    Args:
        maps: list of `Maps`.
        titles: list of strings, one for each picture.
        path: where it goes, `.png` or `.svg`.

    Returns:
        The path.
    """
    gates = [each.gate for each in maps if each.gate is not None]
    each_has = 2 + bool(gates)
    low, high = (min(g.min() for g in gates), max(g.max() for g in gates)) if gates else (0, 1)
    in_row = PANELS // each_has
    shown, fonts = readable_names([title[:LONGEST] for title in titles])

    def plot(*axes):
        for axis in axes:
            axis.set_axis_off()
        for i, found in enumerate(maps):
            picture, overlay, *rest = axes[each_has * i : each_has * (i + 1)]
            pixels = np.asarray(to_picture(found.picture).convert("RGB"))
            height, width = pixels.shape[:2]
            extent = (-0.5, width - 0.5, height - 0.5, -0.5)
            picture.imshow(pixels)
            picture.set_title(shown[i], fontsize=7, loc="left", fontfamily=fonts)
            overlay.imshow(np.asarray(to_picture(found.picture).convert("L")), cmap="gray")
            largest = max(float(found.by_class.max()), 1e-12)
            options = {"extent": extent, "interpolation": "bilinear"}
            overlay.imshow(
                found.by_class / largest, cmap="jet", alpha=0.5, vmin=0, vmax=1, **options
            )
            for axis in rest:
                axis.imshow(found.gate, cmap="viridis", vmin=low, vmax=high, **options)

    rows = -(-len(maps) // in_row)
    return draw(path, plot, columns=in_row * each_has, rows=rows, height=WIDTH / PANELS + 0.2)
