"""Figures of measurements that change the order in which blocks are run.

Each takes the measurement's `Table`, the path of a `.png` or `.svg` file, and optionally the network's
gating, which decides the color; it returns the path. `block_figures` has the figures of what blocks do.
"""

from keras_unrolled.analysis.block_figures import (
    plot_cka,
    plot_estimation_error,
    plot_gates,
    plot_geometry,
    plot_optimal_gate,
    plot_readout,
    plot_residual_mean,
    plot_separation,
)
from keras_unrolled.analysis.drawing import (
    MARKERS,
    add_points,
    color_of,
    draw,
    find_errors,
    label_blocks,
    name_score,
    place,
    score_of,
)

__all__ = [
    "plot_cka",
    "plot_estimation_error",
    "plot_gates",
    "plot_geometry",
    "plot_layer_dropout_curve",
    "plot_lesion",
    "plot_optimal_gate",
    "plot_parallel",
    "plot_readout",
    "plot_repeat",
    "plot_residual_mean",
    "plot_separation",
    "plot_shuffle",
]
TURNS = {False: "batch statistics as trained", True: "recalibrated"}


def _split(table, column):
    """The intact network's row and the other rows of each turn, two dicts, and the score to draw.

    `column` has "none" or 0 in the intact rows.
    """
    intact = {row["recalibrated"]: row for row in table if row[column] in ("none", 0)}
    others = {
        turn: [r for r in table if r["recalibrated"] == turn and r[column] not in ("none", 0)]
        for turn in TURNS
    }
    return intact, {turn: rows for turn, rows in others.items() if rows}, score_of(table.rows)


def _frame(axis, intact, score):
    """The line of the intact network of each turn, and the axis of the score."""
    for turn, row in intact.items():
        style = {"color": "black", "linewidth": 0.9, "linestyle": "-." if turn else ":"}
        axis.axhline(row[score], **style, label="intact, recalibrated" if turn else "intact")
    axis.set(ylabel=name_score(score), ylim=(-0.02, 1.02))
    axis.grid(axis="y", alpha=0.3)


def plot_lesion(table, path, gating=None):
    """Scores with blocks left out one by one, as trained and recalibrated."""
    intact, turns, score = _split(table, "block")

    def plot(axis):
        places = place(row["block"] for row in table if row["block"] != "none")
        hows = list(dict.fromkeys(row["how"] for row in table if row["how"] != "none"))
        for turn, rows in turns.items():
            for number, how in enumerate(hows):
                add_points(
                    axis,
                    [row for row in rows if row["how"] == how],
                    places,
                    score,
                    shift=(0.12 if turn else -0.12) + 0.1 * number,
                    marker=MARKERS[number],
                    color=color_of(gating),
                    mfc="white" if turn else None,
                    label=TURNS[turn] + (f", {how}" if len(hows) > 1 else ""),
                )
        _frame(axis, intact, score)
        label_blocks(axis, places)
        axis.set_xlabel("block left out (stage.number)")

    return draw(path, plot)


def plot_shuffle(table, path, gating=None):
    """Scores with blocks in other orders, against the number of reversed pairs."""
    intact, turns, score = _split(table, "stage")

    def plot(*axes):
        for axis, (turn, rows) in zip(axes, turns.items()):
            _frame(axis, {turn: intact[turn]}, score)
            stages = sorted({row["stage"] for row in rows})
            for number, stage in enumerate(stages):
                for kind in ("swap", "order"):
                    chosen = [r for r in rows if (r["stage"], r["kind"]) == (stage, kind)]
                    if not chosen:
                        continue
                    axis.errorbar(
                        [r["discordant"] + 0.12 * (number - len(stages) / 2) for r in chosen],
                        [r[score] for r in chosen],
                        yerr=find_errors(chosen, score) if score == "accuracy" else None,
                        linestyle="none",
                        marker=MARKERS[number % len(MARKERS)],
                        markersize=4.5,
                        mfc=color_of(gating) if kind == "swap" else "white",
                        color=color_of(gating),
                        elinewidth=0.8,
                        label=f"stage {stage}, {kind}s",
                    )
            axis.set(xlabel="pairs of the stage's blocks in reverse order", title=TURNS[turn])
            most = max(row["discordant"] for row in rows)
            axis.set_xticks(range(1, most + 1, -(-most // 10)))
            axis.set_xlim(0.4, most + 0.6)

    return draw(path, plot, len(turns), sharey=True)


def plot_repeat(table, path, gating=None):
    """Scores with each block run several times in a row."""
    intact, turns, score = _split(table, "block")

    def plot(*axes):
        places = place(row["block"] for row in table if row["block"] != "none")
        counts = sorted({row["times"] for row in table if row["block"] != "none"})
        for axis, (turn, rows) in zip(axes, turns.items()):
            _frame(axis, {turn: intact[turn]}, score)
            for number, times in enumerate(counts):
                add_points(
                    axis,
                    [row for row in rows if row["times"] == times],
                    places,
                    score,
                    shift=0.24 * (number - (len(counts) - 1) / 2),
                    marker=MARKERS[number % len(MARKERS)],
                    mfc="white" if number else None,
                    color=color_of(gating),
                    label=f"run {times} times",
                )
            label_blocks(axis, places)
            axis.set(xlabel="block repeated (stage.number)", title=TURNS[turn])

    return draw(path, plot, len(turns), sharey=True)


def plot_parallel(table, path, gating=None):
    """Scores with neighboring blocks side by side."""
    intact, turns, score = _split(table, "stage")

    def plot(axis):
        names = [row["blocks"] for row in table if row["stage"]]
        places = place(names)
        for turn, rows in turns.items():
            add_points(
                axis,
                [{**row, "block": row["blocks"]} for row in rows],
                places,
                score,
                shift=0.12 if turn else -0.12,
                marker="o",
                mfc="white" if turn else None,
                color=color_of(gating),
                label=TURNS[turn],
            )
        _frame(axis, intact, score)
        label_blocks(axis, places)
        axis.set_xlabel("blocks side by side (stage.number)")

    return draw(path, plot)


def plot_layer_dropout_curve(table, path, gating=None):
    """Scores against the number of blocks left out at random, each set and their mean."""
    intact, turns, score = _split(table, "count")

    def plot(axis):
        counts = sorted({row["count"] for row in table if row["count"]})
        for turn, rows in turns.items():
            shift, means = (0.1 if turn else -0.1), [intact[turn][score]]
            for count in counts:
                values = [row[score] for row in rows if row["count"] == count]
                means.append(sum(values) / len(values))
                axis.plot(
                    [count + shift] * len(values),
                    values,
                    linestyle="none",
                    marker="o",
                    markersize=3.5,
                    alpha=0.55,
                    color=color_of(gating),
                    mfc="white" if turn else None,
                )
            axis.plot(
                [0, *counts],
                means,
                color=color_of(gating),
                linestyle="--" if turn else "-",
                linewidth=1.4,
                label=f"{TURNS[turn]}: mean of the sets",
            )
        _frame(axis, intact, score)
        axis.set(xlabel="blocks left out, drawn at random", xticks=[0, *counts])

    return draw(path, plot)
