"""Figures of what blocks do, as `observe` sees them, of readouts and of CKA."""

import math

from keras_unrolled.analysis.drawing import (
    MARKERS,
    add_points,
    color_of,
    draw,
    label_blocks,
    place,
    place_relative,
    shorten,
)

GATES = {"transform": "T", "carry": "C"}


def plot_estimation_error(table, path, gating=None):
    """The raw error (mean, and std as bars) and the normalized one with its interval, by block."""

    def plot(raw, normalized):
        own = place(row["block"] for row in table if row["network"] == "model")
        for network in dict.fromkeys(table["network"]):
            is_control = network != "model"
            ours = "network" if "control" in table["network"] else None
            style = {
                "marker": "s" if is_control else "o",
                "label": "control, by relative depth in the stage" if is_control else ours,
                "color": "0.45" if is_control else color_of(gating),
            }
            rows = [row for row in table if row["network"] == network]
            places = place_relative((row["block"] for row in rows), own)
            rows = [row for row in rows if row["block"] in places]
            stds = [{**r, "low": r["mean"] - r["std"], "high": r["mean"] + r["std"]} for r in rows]
            shift = 0.15 if is_control else -0.15 if style["label"] else 0
            add_points(raw, stds, places, "mean", shift=shift, joined=True, **style)
            add_points(normalized, rows, places, "normalized", shift=shift, joined=True, **style)
        raw.axhline(0, color="black", linewidth=0.8)
        raw.set(ylabel="a − A: mean, std as bars", title="raw")
        normalized.axhline(1, color="black", linewidth=0.9, linestyle=":", label="constant guess")
        normalized.set(ylabel="std(a − A) / std(A)", title="normalized")
        normalized.set_ylim(bottom=0)
        for axis in (raw, normalized):
            label_blocks(axis, own)

    return draw(path, plot, 2)


def plot_residual_mean(table, path, gating=None):
    """The part of the power of F, and of the change of the output, that is its mean's."""

    def plot(axis):
        places = place(table["block"])
        labels = {"residual": "F, before the last ReLU", "change": "output less shortcut"}
        for number, of in enumerate(dict.fromkeys(table["of"])):
            add_points(
                axis,
                [row for row in table if row["of"] == of],
                places,
                "share",
                shift=0.24 * number - 0.12,
                marker=MARKERS[number],
                mfc="white" if number else None,
                color=color_of(gating),
                label=labels[of],
            )
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_ylabel("E[F]² / E[F²]")
        label_blocks(axis, places)

    return draw(path, plot)


def plot_gates(table, path, gating=None, histogram=None):
    """The mean of each gate with its spread by block, and histograms of those that are not fixed.

    `histogram` is the table of `gate_stats(..., by="histogram")`.
    """
    shown = [gate for gate in GATES if histogram is not None and gate in histogram["gate"]]

    def plot(means, *axes):
        places = place(table["block"])
        for number, gate in enumerate(GATES):
            rows = [
                {**row, "low": row["mean"] - row["std"], "high": row["mean"] + row["std"]}
                for row in table
                if row["gate"] == gate
            ]
            add_points(
                means,
                rows,
                places,
                "mean",
                shift=0.24 * number - 0.12,
                marker=MARKERS[number],
                mfc="white" if number else None,
                color=color_of(gating),
                label=f"{GATES[gate]}: mean, std as bars",
            )
        means.set(ylabel="opening", ylim=(-0.05, 1.05))
        label_blocks(means, places)
        for axis, gate in zip(axes, shown):
            _draw_histogram(axis, [row for row in histogram if row["gate"] == gate], gate)

    return draw(path, plot, rows=1 + len(shown), height=2.5)


def _draw_histogram(axis, rows, gate):
    """The shares of a gate's values, a column of bins for each block."""
    blocks = list(dict.fromkeys(row["block"] for row in rows))
    shares = [[row["share"] for row in rows if row["block"] == block] for block in blocks]
    columns = [list(column) for column in zip(*shares)]
    image = axis.imshow(
        columns,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=0,
        extent=(-0.5, len(blocks) - 0.5, 0, 1),
    )
    axis.figure.colorbar(image, ax=axis, label="share of values")
    axis.set_ylabel(f"opening of {GATES[gate]}")
    _tick_blocks(axis.set_xticks, blocks)
    axis.set_xlabel("block (stage.number)")


def _tick_blocks(set_ticks, blocks):
    """Labels every block, or of many every second and so on."""
    every = -(-len(blocks) // 20)
    shown = range(0, len(blocks), every)
    rotation = 90 if len(shown) > 12 else 0
    set_ticks(list(shown), [shorten(blocks[i]) for i in shown], rotation=rotation)


def plot_optimal_gate(table, path, gating=None):
    """Trained and optimal gates, and the block's own part of the optimal one and the later blocks'.

    The last block of a stage, where the optimal gate is a tautology, is marked by a cross.
    """
    gates = list(dict.fromkeys(table["gate"]))

    def plot(*axes):
        places = place(table["block"])
        for number, gate in enumerate(gates):
            rows = [r for r in table if r["gate"] == gate and r["optimal"] is not None]
            above, below = axes[2 * number : 2 * number + 2]
            trained = [{**row, "low": None, "high": None} for row in rows]
            style = {"color": color_of(gating)}
            add_points(above, trained, places, "trained", shift=-0.15, **style, marker="o",
                       label=f"trained {GATES[gate]}")  # fmt: skip
            add_points(above, rows, places, "optimal", shift=0.15, color="black", marker="s",
                       mfc="white", label=f"optimal {GATES[gate]}*")  # fmt: skip
            for axis in (above, below):
                label_blocks(axis, places)
                axis.axhline(0, color="black", linewidth=0.8)
            above.set_ylabel("opening")
            places_of = [places[row["block"]] for row in rows]
            below.bar([x - 0.18 for x in places_of], [row["own"] for row in rows], 0.34,
                      color=color_of(gating), label="this block's slope")  # fmt: skip
            below.bar([x + 0.18 for x in places_of], [row["later"] for row in rows], 0.34,
                      color="0.6", label="later blocks' slope")  # fmt: skip
            last = [places[row["block"]] for row in rows if row["tautology"]]
            below.plot(last, [0] * len(last), "kx", label="tautology (last block)")
            below.set_ylabel(f"parts of {GATES[gate]}*")

    return draw(path, plot, 2, len(gates))


def plot_readout(table, path, gating=None):
    """Accuracy read out after blocks against the multiply-accumulates until there, where known."""

    def plot(axis):
        known = all(macs is not None for macs in table["macs"])
        places = place(sorted(table["block"]))
        if known:
            unit = 1e9 if max(table["macs"]) >= 1e9 else 1e6
            places = {row["block"]: row["macs"] / unit for row in table}
        for number, kind in enumerate(dict.fromkeys(table["readout"])):
            rows = [row for row in table if row["readout"] == kind]
            add_points(
                axis,
                rows,
                places,
                "accuracy",
                joined=True,
                marker=MARKERS[number],
                mfc="white" if number else None,
                color=color_of(gating),
                label={"head": "the head as it is", "probe": "linear probes"}.get(kind, kind),
            )
        if known:
            for name, x in places.items():
                axis.annotate(shorten(name), (x, 0.01), ha="center", fontsize=7, color="0.4")
            scale = "billions" if unit == 1e9 else "millions"
            axis.set_xlabel(f"multiply-accumulates of an image until the block, {scale}")
        else:
            label_blocks(axis, places)
        axis.set(ylabel="accuracy", ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)

    return draw(path, plot)


def plot_geometry(table, path, gating=None):
    """|F| / |h|, the cosine of input and output, and that of F with the negative gradient."""
    places_of_gradient = [
        at for at in dict.fromkeys(table["at"]) if any(v is not None for v in _gradients(table, at))
    ]

    def plot(ratio, cosine, *rest):
        places = place(table["block"])
        first = [row for row in table if row["at"] == table.rows[0]["at"]]
        plain = [{**row, "low": None, "high": None} for row in first]
        color = color_of(gating)
        for axis, column, label in (
            (ratio, "ratio", "|F| / |h|"),
            (cosine, "cosine", "cosine of h with the output"),
        ):
            add_points(axis, plain, places, column, marker="o", joined=True, color=color)
            axis.set_ylabel(label)
            axis.set_ylim(bottom=min(0, *(row[column] or 0 for row in plain)))
        for axis in rest:
            for number, at in enumerate(places_of_gradient):
                rows = [row for row in table if row["at"] == at]
                add_points(axis, rows, places, "gradient_cosine", marker=MARKERS[number],
                           mfc="white" if number else None, color=color, shift=0.24 * number - 0.12,
                           label=f"gradient at the {at}")  # fmt: skip
            axis.axhline(0, color="black", linewidth=0.8)
            axis.set_ylabel("cosine of F with −gradient")
        for axis in (ratio, cosine, *rest):
            label_blocks(axis, places)

    return draw(path, plot, 3 if places_of_gradient else 2)


def _gradients(table, at):
    return [row["gradient_cosine"] for row in table if row["at"] == at]


def plot_cka(table, path, gating=None, names=None):
    """CKA of all pairs of blocks as a map, with lines between stages.

    `names` has those of two networks, of the rows and of the columns.
    """
    rows, columns = (list(dict.fromkeys(table[c])) for c in ("block", "other"))
    values = {
        (row["block"], row["other"]): math.nan if row["cka"] is None else row["cka"]
        for row in table
    }

    def plot(axis):
        image = axis.imshow(
            [[values[a, b] for b in columns] for a in rows], vmin=0, vmax=1, cmap="cividis"
        )
        axis.figure.colorbar(image, ax=axis, label="linear CKA")
        for blocks, line, set_ticks in (
            (columns, axis.axvline, axis.set_xticks),
            (rows, axis.axhline, axis.set_yticks),
        ):
            for i in range(1, len(blocks)):
                if blocks[i].split("_")[0] != blocks[i - 1].split("_")[0]:
                    line(i - 0.5, color="white", linewidth=1.5)
            _tick_blocks(set_ticks, blocks)
        ours, theirs = (f"block of {n}" for n in names) if names else ("block", "block")
        axis.set(xlabel=f"{theirs} (stage.number)", ylabel=f"{ours} (stage.number)")

    return draw(path, plot, height=4.6)


def plot_separation(table, path, gating=None):
    """The logarithm of the classes' fuzziness by block with the line through the blocks, and NC1."""

    def plot(fuzziness, collapse):
        places = {block: float(i) for i, block in enumerate(dict.fromkeys(table["block"]))}
        rows = [{**row, "block": row["block"]} for row in table]
        color = color_of(gating)
        add_points(fuzziness, rows, places, "log_fuzziness", marker="o", color=color)
        blocks = [r for r in rows if r["stage"] and r["log_fuzziness"] is not None]
        slope, r2 = rows[0]["slope"], rows[0]["r2"]
        if slope is not None and blocks:
            xs = [places[row["block"]] for row in blocks]
            center = sum(row["log_fuzziness"] for row in blocks) / len(blocks)
            middle = sum(xs) / len(xs)
            label = f"slope {slope:.2f}" + (f", R² = {r2:.2f}" if r2 is not None else "")
            fuzziness.plot(
                xs, [center + slope * (x - middle) for x in xs], "k--", linewidth=1, label=label
            )
        fuzziness.set_ylabel("natural logarithm of tr(SSw SSb⁺)")
        plain = [{**row, "low": None, "high": None} for row in rows]
        add_points(collapse, plain, places, "nc1", marker="s", color=color)
        collapse.set(ylabel="NC1", yscale="log")
        collapse.yaxis.set_major_formatter("{x:g}")
        collapse.yaxis.set_minor_formatter("")
        for axis in (fuzziness, collapse):
            label_blocks(axis, places)

    return draw(path, plot, 2)
