"""Pictures, as PNG files."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.files import replaced

# One color for each gating, in every figure.
GATING_COLORS = {
    "plain": "tab:gray",
    "residual": "tab:blue",
    "full": "tab:red",
    "coupled": "tab:orange",
    "c_only": "tab:green",
    "t_only": "tab:purple",
}
_LINES = ("-", "--", ":", "-.")


def _figure(*args, **kwargs):
    # No pyplot: nothing global, no window, no backend to choose.
    from matplotlib.figure import Figure

    return Figure(*args, layout="constrained", **kwargs)


def _save(figure, path):
    path = Path(path)
    with replaced(path) as aside:
        figure.savefig(aside, dpi=120, format="png")
    return path


def _plain(text):
    """A name as matplotlib shows it literally: "$" would begin a formula."""
    return str(text).replace("$", r"\$")


def readable_names(names):
    """Names for a figure, and the fonts that have their characters.

    Args:
        names: list of strings.

    Returns:
        The names and a list of font families; the names are numbers if no font has them all.
    """
    from matplotlib import font_manager

    needed = {ord(c) for name in names for c in name}
    families, missing = ["DejaVu Sans"], needed
    for entry in [font_manager.findfont("DejaVu Sans"), *font_manager.findSystemFonts()]:
        try:
            font = font_manager.get_font(entry)
            covered = missing & font.get_charmap().keys()
        except (OSError, RuntimeError):  # a font that cannot be read
            continue
        if covered:
            missing = missing - covered
            font_manager.fontManager.addfont(entry)
            families.append(font.family_name)
        if not missing:
            return [_plain(name) for name in names], list(dict.fromkeys(families))
    return [f"class {i}" for i in range(len(names))], families[:1]


def plot_curves(history: Any, path: str | Path, phases: Any = None) -> Path:
    """Loss and accuracy over the epochs of a training.

    Args:
        history: dict of lists with one number an epoch: "loss", "accuracy", and the same
            with "val_" before it for the held-out part.
        path: where the PNG goes.
        phases: optional dict from the name of a phase to its first epoch; each is marked.

    Returns:
        The path.
    """
    figure = _figure(figsize=(9, 3.6))
    axes = figure.subplots(1, 2)
    add_curves(axes, history, phases)
    for axis in axes:
        axis.legend()
    return _save(figure, path)


def add_curves(axes: Any, history: Any, phases: Any = None) -> None:
    """Adds what `plot_curves` draws to two axes of matplotlib, without legends."""
    for axis, key in zip(axes, ("loss", "accuracy")):
        for name, label in ((key, "training"), (f"val_{key}", "held out")):
            if name in history:
                epochs = range(1, len(history[name]) + 1)
                axis.plot(epochs, history[name], marker="o", markersize=3, label=label)
        for phase, first in (phases or {}).items():
            axis.axvline(first - 0.5, color="gray", linestyle=":", linewidth=1)
            place = (first - 0.4, 0.98)
            transform = axis.get_xaxis_transform()
            axis.text(*place, phase, transform=transform, va="top", fontsize=8, color="gray")
        axis.set(xlabel="epoch", ylabel=key)
        axis.grid(alpha=0.3)


def plot_rates(curve: Any, chosen: float | None, path: str | Path) -> Path:
    """Plots a learning-rate range test: the loss of each step against its rate.

    Args:
        curve: dict of "learning_rate", "loss" and "smoothed", lists of one length.
        chosen: the rate that is marked, or None.
        path: where the PNG goes.

    Returns:
        The path.
    """
    figure = _figure(figsize=(5.5, 3.6))
    axis = figure.subplots()
    rates = curve["learning_rate"]
    axis.plot(rates, curve["loss"], ".", color="tab:gray", markersize=3, label="each step")
    axis.plot(rates, curve["smoothed"], color="tab:blue", label="smoothed")
    if chosen is not None:
        axis.axvline(chosen, color="tab:red", linestyle="--", label=f"suggested: {chosen:g}")
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return _save(figure, path)


def plot_logs(panels: Any, path: str | Path, gatings: dict[str, str] | None = None) -> Path:
    """Plots columns of the logs of training runs against the epoch.

    Args:
        panels: dict from a panel's title to a pair: a column of the logs, and a dict from a
            run's name to the path of its `log.csv`.
        path: where the PNG goes.
        gatings: optional dict from a run's name to its gating, which decides its color; several
            of one gating have lines of their own.

    Returns:
        The path.
    """
    figure = _figure(figsize=(5.5 * len(panels), 4.2))
    axes = figure.subplots(1, len(panels), squeeze=False).flat
    for axis, (title, (column, runs)) in zip(axes, panels.items()):
        ends, starts = [], []
        styles = _styles(list(runs), gatings or {})
        for name, log in runs.items():
            rows = _read_log(log, column)
            values = [float(row[column]) for row in rows]
            axis.plot(
                [int(row["epoch"]) for row in rows],
                values,
                label=_plain(name),
                linewidth=1.2,
                marker="o" if len(rows) == 1 else None,  # a line of one point is not seen
                **styles[name],
            )
            ends += [min(values), max(values)]
            starts.append(values[len(values) // 8])
        # The first epochs would hide the differences between the runs.
        low, high = (min(ends), max(starts)) if values[0] > values[-1] else (min(starts), max(ends))
        room = 0.05 * (high - low) or 1e-3
        axis.set(
            xlabel="epoch",
            ylabel=column.replace("_", " "),
            title=title,
            ylim=(low - room, high + room),
        )
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return _save(figure, path)


def _read_log(path, column):
    """The rows of a run's log, one at least, which have a column."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not rows[0].get(column):
        raise checks.InputError(
            f"Expected the column {column} of one epoch or more in {path}. Found {len(rows)} epochs "
            f"with {', '.join(rows[0]) if rows else 'nothing'}. Choose another column or log."
        )
    return rows


def _styles(names, gatings):
    """Color and line of each run: matplotlib's own for one without a gating."""
    counts: Counter[str] = Counter()
    styles: dict[str, dict[str, Any]] = {}
    for name in names:
        gating = gatings.get(name)
        styles[name] = {}
        if gating in GATING_COLORS:
            line = _LINES[counts[gating] % len(_LINES)]
            styles[name] = {"color": GATING_COLORS[gating], "linestyle": line}
            counts[gating] += 1
    return styles


def plot_confusion(truth: Any, answers: Any, names: Any, path: str | Path) -> Path:
    """Plots a confusion matrix: rows are true classes, columns are answers.

    Args:
        truth: int array `(n,)`, indices into `names`.
        answers: int array `(n,)`, likewise.
        names: list of strings; beyond 40 they are left out of the picture. They are numbered where
            no font of the machine has their characters.
        path: where the PNG goes.

    Returns:
        The path.
    """
    import numpy as np

    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (truth, answers), 1)
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    side = min(14, max(4.5, 1.5 + 0.45 * len(names)))
    figure = _figure(figsize=(side + 1, side))
    axis = figure.subplots()
    image = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(image, label="share of the true class")
    axis.set(xlabel="answer", ylabel="true class", title=f"{len(truth):,} images held out")
    if len(names) <= 40:
        places = range(len(names))
        shown, fonts = readable_names(names)
        axis.set_xticks(places, shown, rotation=90, fontsize=8, fontfamily=fonts)
        axis.set_yticks(places, shown, fontsize=8, fontfamily=fonts)
        for row, column in zip(*np.nonzero(counts if len(names) <= 20 else counts[:0])):
            color = "white" if shares[row, column] > 0.5 else "black"
            style = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
            axis.text(column, row, str(counts[row, column]), **style)
    return _save(figure, path)


def plot_predictions(
    images: Any, truth: Any, predictions: Any, openings: Any, path: str | Path
) -> Path:
    """Images with what each network says of them, and how far its gates are open.

    Args:
        images: uint8 array `(n, height, width, 3)`.
        truth: list of n strings, the right classes.
        predictions: dict from a network's name to a list of n pairs (label, probability).
        openings: dict from a network's name to what `gate_openings` returns for it.
        path: where the PNG goes.

    Returns:
        The path.
    """
    columns = min(len(images), 8)
    rows = -(-len(images) // columns)
    figure = _figure(figsize=(1.75 * columns, 2.6 * rows + 3.4))
    above, below = figure.subfigures(2, 1, height_ratios=[2.6 * rows, 3.4])
    axes = list(above.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for i, (axis, image) in enumerate(zip(axes, images)):
        axis.imshow(image)
        axis.set_title(_plain(truth[i]), fontsize=10, fontweight="bold")
        for line, (network, said) in enumerate(predictions.items()):
            label, probability = said[i]
            axis.text(
                0.5,
                -0.06 - 0.13 * line,
                _plain(f"{network.split('_')[0]}: {label} {probability:.0%}"),
                transform=axis.transAxes,
                ha="center",
                va="top",
                fontsize=8,
                color="tab:green" if label == truth[i] else "tab:red",
            )
    axes = below.subplots(1, len(openings), sharey=True, squeeze=False).flat
    for axis, (network, blocks) in zip(axes, openings.items()):
        places = range(len(blocks))
        t, c = zip(*blocks.values())
        axis.bar([p - 0.2 for p in places], t, 0.4, label="T, on the new estimate H(x)")
        axis.bar([p + 0.2 for p in places], c, 0.4, label="C, on the old estimate x")
        labels = [name.replace("stage", "").replace("_block", ".") for name in blocks]
        axis.set(xticks=places, xlabel="stage.block", ylim=(0, 1.2), title=_plain(network))
        axis.set_xticklabels(labels, fontsize=8)
        axis.grid(axis="y", alpha=0.3)
        axis.legend(fontsize=8, loc="upper center", ncols=2)
    next(iter(below.axes)).set_ylabel("mean gate opening")
    return _save(figure, path)
