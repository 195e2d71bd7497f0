"""What the figures of measurements share: their size and fonts, places of blocks, files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.analysis.plots import GATING_COLORS
from keras_unrolled.files import replaced

WIDTH = 6.8  # inches, a page's text; fonts are as large as in print
DPI = 200  # of a PNG
SUFFIXES = (".png", ".svg")
FONTS: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "svg.hashsalt": "keras_unrolled",  # the same figure is the same file
}
GAP = 0.8  # between stages, in blocks
MARKERS = "osD^vP*X"
MOST_LABELS = 24  # blocks whose names are written next to each other, over the full width


def draw(
    path: str | Path,
    plot: Any,
    columns: int = 1,
    rows: int = 1,
    height: float = 2.9,
    **options: Any,
) -> Path:
    """Draws a figure of panels with a legend below them, and saves it.

    Args:
        path: where it goes; the suffix decides the format, `.png` or `.svg`.
        plot: function of one axis of matplotlib for each panel, row by row.
        columns: int, panels side by side.
        rows: int, panels one below the other.
        height: float, inches of a row.
        **options: arguments of `Figure.subplots`, such as `sharey`.

    Returns:
        The path.

    Raises:
        InputError: for another suffix, and if the file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise checks.InputError(
            f"Expected the path of a figure, {' or '.join(SUFFIXES)}. Received: {path}. Change the "
            "suffix."
        )
    with matplotlib.rc_context(FONTS):
        # No pyplot: nothing global, no window, no backend to choose.
        figure = Figure(figsize=(WIDTH, rows * height), layout="constrained", facecolor="white")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
        plot(*axes.flat)
        _add_legend(figure, axes.flat)
        kind = path.suffix.lower()[1:]
        stamps = ("Creator", "Date", "Format", "Type") if kind == "svg" else ("Software",)
        with replaced(path) as aside:
            figure.savefig(aside, dpi=DPI, format=kind, metadata=dict.fromkeys(stamps))
    return path


def _add_legend(figure, axes):
    """One legend below the panels, where it covers nothing."""
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    if entries:
        columns = 2 if max(map(len, entries)) > 32 else 3
        place = {"loc": "outside lower center", "ncols": min(columns, len(entries))}
        figure.legend(entries.values(), entries.keys(), frameon=False, **place)


def color_of(gating: str | None) -> str:
    """The color of a network's curves: its gating's, or blue."""
    return GATING_COLORS.get(gating or "residual", GATING_COLORS["residual"])


def shorten(blocks: str) -> str:
    """Names of blocks as ticks: "1.2" for "stage1_block2", "1.1 to 1.3" for several in a row."""
    names = [name.replace("stage", "").replace("_block", ".") for name in blocks.split("+")]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def place(blocks: Iterable[str]) -> dict[str, float]:
    """The places of blocks on an axis, in their order, with a gap between stages."""
    places: dict[str, float] = {}
    at, before = 0.0, None
    for name in dict.fromkeys(blocks):
        stage = name.split("_")[0]
        if before is not None:
            at += 1 if stage == before else 1 + GAP
        places[name], before = at, stage
    return places


def place_relative(blocks: Iterable[str], places: dict[str, float]) -> dict[str, float]:
    """The places of another network's blocks, from the first to the last of a stage.

    A stage that `places` does not have is left out.
    """
    own: dict[str, list[float]] = {}
    for name, x in places.items():
        own.setdefault(name.split("_")[0], []).append(x)
    stages: dict[str, list[str]] = {}
    for name in dict.fromkeys(blocks):
        stages.setdefault(name.split("_")[0], []).append(name)
    found = {}
    for stage, names in stages.items():
        for i, name in enumerate(names if stage in own else ()):
            first, last = own[stage][0], own[stage][-1]
            share = i / (len(names) - 1) if len(names) > 1 else 1.0  # a single one is the last one
            found[name] = first + share * (last - first)
    return found


def label_blocks(axis: Any, places: dict[str, float]) -> None:
    """Labels the x axis with blocks; of many only every second, third and so on."""
    columns = axis.get_subplotspec().get_gridspec().ncols
    every = -(-len(places) * (columns + 1) // (2 * MOST_LABELS))
    shown = list(places)[::every]
    crowded = columns * len(shown) > 20 or any("+" in name for name in shown)
    axis.set_xticks(
        [places[name] for name in shown],
        [shorten(name) for name in shown],
        rotation=90 if crowded else 0,
    )
    axis.set_xlabel("block (stage.number)")
    axis.grid(axis="y", alpha=0.3)
    stages: dict[str, list[float]] = {}
    for name, x in places.items():
        if name.startswith("stage"):  # not the stem
            stages.setdefault(name.split("_")[0], []).append(x)
    for ends in list(stages.values())[::2]:
        axis.axvspan(min(ends) - 0.5, max(ends) + 0.5, color="0.95", zorder=0)
    axis.set_xlim(min(places.values()) - 0.7, max(places.values()) + 0.7)


def add_points(axis, rows, places, column="accuracy", *, shift=0.0, joined=False, **style):
    """Draws a column of rows with their intervals, "low" to "high", over the rows' blocks.

    Args:
        axis: an axis of matplotlib.
        rows: list of dicts with "block", `column`, "low" and "high"; those without a value are
            left out, and intervals that are not known.
        places: dict from a block to its place.
        column: string.
        shift: float, added to the places.
        joined: bool, whether the points of a stage are joined by a line.
        **style: arguments of `Axes.errorbar`.
    """
    rows = [row for row in rows if row[column] is not None]
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row["block"].split("_")[0] if joined else "", []).append(row)
    style = {"linestyle": "-" if joined else "none", "markersize": 4, "capsize": 2, **style}
    style = {"linewidth": 1.2, "elinewidth": 1, **style}
    for group in groups.values():
        axis.errorbar(
            [places[row["block"]] + shift for row in group],
            [row[column] for row in group],
            yerr=find_errors(group, column),
            **style,
        )
        style["label"] = None  # one entry in the legend


def find_errors(rows, column):
    """The lengths of error bars below and above, a list of two lists; 0 where not known."""
    below = [row[column] - _limit(row["low"], column) if _has_bounds(row) else 0.0 for row in rows]
    above = [_limit(row["high"], column) - row[column] if _has_bounds(row) else 0.0 for row in rows]
    return [[max(0.0, x) for x in below], [max(0.0, x) for x in above]]


def _limit(bound, column):
    """A bound as it is shown: of accuracies within 0 and 1."""
    return min(1.0, max(0.0, bound)) if column == "accuracy" else bound


def _has_bounds(row):
    return row.get("low") is not None and row.get("high") is not None


def score_of(rows):
    """What schedules are compared by: "accuracy", or "agreement" where there are no labels."""
    return "accuracy" if rows and rows[0]["accuracy"] is not None else "agreement"


def name_score(column):
    """The label of an axis for `score_of`."""
    return "accuracy" if column == "accuracy" else "same answer as the intact network"
