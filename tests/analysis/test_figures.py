import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.analysis import drawing, figures
from keras_unrolled.analysis.plots import GATING_COLORS
from keras_unrolled.analysis.table import Table

BLOCKS = ["stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2"]
SCORES = {"n": 100, "loss": 0.5, "kl": 0.1, "agreement": 0.9, "difference": 0.0}


def score(accuracy, **values):
    bounds = {"low": accuracy - 0.1, "high": accuracy + 0.05}
    return {**values, "accuracy": accuracy, **SCORES, **bounds}


def schedules(column, names, others=()):
    """Rows of two turns: the intact network, then accuracies of 0.5 and 0.6, 0.7 and 0.8 ..."""
    rows = []
    for turn in (False, True):
        rest = dict.fromkeys(others, 0)
        intact = {column: 0 if isinstance(names[0], int) else "none", **rest}
        rows.append(score(0.9, **intact, recalibrated=turn))
        for i, name in enumerate(names):
            values = {column: name, **dict.fromkeys(others, 2), "recalibrated": turn}
            rows.append(score(0.5 + 0.1 * i + (0.05 if turn else 0), **values))
    return Table(rows)


def by_block(**columns):
    return Table(
        [
            {"stage": int(name[5]), "block": name, **{k: v[i] for k, v in columns.items()}}
            for i, name in enumerate(BLOCKS)
        ]
    )


TABLES = {
    "estimation_error": Table(
        [
            {**row, "network": network}
            for network in ("model", "control")
            for row in by_block(
                mean=[0.1, 0, -0.2, 0],
                std=[1.0, 0, 0.5, 0],
                normalized=[0.9, 0, 0.7, 0],
                low=[0.8, 0, 0.6, 0],
                high=[1.1, 0, 0.8, 0],
            )
        ]
    ),
    "residual_mean": by_block(
        of=["residual"] * 4, share=[0.1, 0.2, 0.3, None], low=[0, 0.1, 0.2, None], high=[0.2] * 4
    ),
    "lesion": schedules("block", BLOCKS[:3], ["how"]),
    "shuffle": Table(
        [
            {**row, "kind": "swap", "order": "2-1", "discordant": 1, "tau": -1.0}
            for row in schedules("stage", [1, 2])
        ]
    ),
    "repeat": schedules("block", BLOCKS[:2], ["times"]),
    "parallel": Table(
        [
            {**row, "blocks": "+".join(BLOCKS[:2]) if row["stage"] else "none"}
            for row in schedules("stage", [1])
        ]
    ),
    "layer_dropout_curve": schedules("count", [1, 1, 2], ["blocks"]),
    "gate_stats": by_block(gate=["transform"] * 4, mean=[0.1, 0.2, 0.3, 0.4], std=[0.1] * 4),
    "optimal_gate": by_block(
        gate=["transform"] * 4,
        trained=[0.2] * 4,
        optimal=[0.3] * 4,
        low=[0.2] * 4,
        high=[0.5] * 4,
        own=[0.5] * 4,
        later=[-0.2] * 4,
        tautology=[False, True, False, True],
    ),
    "readout": Table(
        [score(0.3 + 0.3 * i, block=BLOCKS[2 + i], readout="head", macs=10**6 * (1 + i)) for i in (0, 1)]
    ),
    "geometry": by_block(
        ratio=[1.0, 0.5, 2.0, 1.0],
        cosine=[0.5] * 4,
        gradient_cosine=[0.1, -0.1, None, 0.2],
        low=[0.0, -0.2, None, 0.1],
        high=[0.2, 0.0, None, 0.3],
        at=["input"] * 4,
    ),
    "cka": Table(
        [
            {"block": a, "other": b, "cka": 1.0 if a == b else 0.25}
            for a in BLOCKS
            for b in BLOCKS
        ]
    ),
    "separation": by_block(
        log_fuzziness=[3.0, 2.0, 1.5, 0.5],
        nc1=[10.0, 5.0, 2.0, 0.1],
        low=[2.5, 1.5, 1.0, 0.1],
        high=[3.5, 2.5, 2.0, 0.9],
        slope=[-0.8] * 4,
        r2=[0.98] * 4,
    ),
}  # fmt: skip
HISTOGRAM = Table(
    [
        {
            "stage": 1,
            "block": b,
            "gate": "transform",
            "low": i / 4,
            "high": (i + 1) / 4,
            "share": i / 6,
        }
        for b in BLOCKS
        for i in range(4)
    ]
)


def make(name, path, gating=None):
    plot = getattr(figures, "plot_" + {"gate_stats": "gates"}.get(name, name))
    options = {"histogram": HISTOGRAM} if name == "gate_stats" else {}
    return plot(TABLES[name], path, gating, **options)


def points(axis):
    """The places and values of all error bars of an axis, and their bounds."""
    rows = []
    for container in axis.containers:
        if not hasattr(container, "has_yerr"):  # bars
            continue
        x, y = container.lines[0].get_data()
        segments = container.lines[2][0].get_segments() if container.has_yerr else [None] * len(x)
        rows += [
            (float(a), float(b), None if s is None else tuple(np.round(s[:, 1], 6).tolist()))
            for a, b, s in zip(x, y, segments)
        ]
    return sorted(rows)


@pytest.mark.parametrize("name", TABLES)
def test_figure_is_written_as_png_and_svg_with_labeled_axes(tmp_path, drawn, name):
    assert make(name, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    text = make(name, tmp_path / "b.SVG").read_text()
    assert "<svg" in text
    assert "<metadata>" not in text
    first = (tmp_path / "b.SVG").read_bytes()
    assert make(name, tmp_path / "b.SVG").read_bytes() == first  # nothing of when it was drawn
    for axis in drawn[0].axes:
        assert (
            axis.get_ylabel()
            or axis.get_title()
            or axis.get_shared_y_axes().joined(axis, drawn[0].axes[0])
        )
        assert axis.has_data()
    sizes = [text.get_fontsize() for axis in drawn[0].axes for text in axis.get_xticklabels()]
    assert min(sizes) >= 7
    assert drawn[0].get_size_inches()[0] == drawing.WIDTH  # so that fonts are as large in print


def test_other_suffix_is_rejected(tmp_path):
    with pytest.raises(InputError, match=r"Expected the path of a figure, \.png or \.svg"):
        make("cka", tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_stages_are_apart_and_intervals_are_bars(tmp_path, drawn):
    make("residual_mean", tmp_path / "a.png", "coupled")
    found = points(drawn[0].axes[0])
    gaps = np.diff([x for x, _, _ in found])
    assert gaps.tolist() == pytest.approx([1, 1 + drawing.GAP])
    assert [y for _, y, _ in found] == [0.1, 0.2, 0.3]
    assert found[0][2] == (0.0, 0.2)
    colors = {line.get_color() for line in drawn[0].axes[0].lines if line.get_marker() == "o"}
    assert colors == {GATING_COLORS["coupled"]}


def test_lesions_as_trained_and_recalibrated_are_next_to_each_other(tmp_path, drawn):
    make("lesion", tmp_path / "a.png")
    found = points(drawn[0].axes[0])
    assert [y for _, y, _ in found] == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75])
    assert found[0][2] == pytest.approx((0.4, 0.55))
    (line,) = [li for li in drawn[0].axes[0].lines if li.get_label() == "intact"]
    assert line.get_ydata() == [0.9, 0.9]


def test_scores_without_labels_are_agreement_without_bars(tmp_path, drawn):
    rows = [{**row, "accuracy": None, "low": None, "high": None} for row in TABLES["lesion"]]
    figures.plot_lesion(Table(rows), tmp_path / "a.png")
    assert {y for _, y, _ in points(drawn[0].axes[0])} == {0.9}
    assert drawn[0].axes[0].get_ylabel() == "same answer as the intact network"


def test_dropout_curve_passes_through_the_means_of_the_sets(tmp_path, drawn):
    make("layer_dropout_curve", tmp_path / "a.png")
    lines = [line for line in drawn[0].axes[0].lines if "mean" in str(line.get_label())]
    assert lines[0].get_ydata() == pytest.approx([0.9, 0.55, 0.7])
    assert lines[1].get_ydata() == pytest.approx([0.9, 0.6, 0.75])


def test_recalibrated_curve_begins_at_the_recalibrated_network(tmp_path, drawn):
    rows = [dict(row) for row in TABLES["layer_dropout_curve"]]
    next(r for r in rows if r["recalibrated"] and not r["count"])["accuracy"] = 0.4
    figures.plot_layer_dropout_curve(Table(rows), tmp_path / "a.png")
    starts = {str(li.get_label()): li.get_ydata()[0] for li in drawn[0].axes[0].lines}
    assert starts["recalibrated: mean of the sets"] == starts["intact, recalibrated"] == 0.4
    assert starts["batch statistics as trained: mean of the sets"] == starts["intact"] == 0.9


def test_control_of_another_depth_is_drawn_by_relative_depth(tmp_path, drawn):
    values = {"mean": 0.0, "std": 1.0, "normalized": 0.5, "low": 0.4, "high": 0.6}
    depths = {"model": (3, 2), "control": (5, 1)}
    rows = [
        {"stage": s, "block": f"stage{s}_block{b + 1}", **values, "network": network}
        for network, depth in depths.items()
        for s, count in enumerate(depth, start=1)
        for b in range(count)
    ]
    figures.plot_estimation_error(Table(rows), tmp_path / "a.png")
    axis = drawn[0].axes[1]
    labels = [text.get_text() for text in axis.get_xticklabels()]
    assert labels == ["1.1", "1.2", "1.3", "2.1", "2.2"]
    second = 3 + drawing.GAP
    ours, theirs = [0, 1, 2, second, second + 1], [0, 0.5, 1, 1.5, 2, second + 1]
    expected = sorted([x - 0.15 for x in ours] + [x + 0.15 for x in theirs])
    assert [x for x, _, _ in points(axis)] == pytest.approx(expected)


def test_bars_of_accuracies_end_at_0_and_1():
    row = {"accuracy": 0.98, "low": -0.2, "high": 1.1}
    assert np.ravel(drawing.find_errors([row], "accuracy")) == pytest.approx([0.98, 0.02])


def test_separation_shows_the_fitted_line(tmp_path, drawn):
    make("separation", tmp_path / "a.png")
    (line,) = [li for li in drawn[0].axes[0].lines if "slope" in str(li.get_label())]
    assert line.get_label() == "slope -0.80, R² = 0.98"
    assert np.diff(line.get_ydata()).tolist() == pytest.approx([-0.8] * 3)
    assert np.mean(line.get_ydata()) == pytest.approx(1.75)


def test_cka_map_and_histogram_show_their_values(tmp_path, drawn):
    make("cka", tmp_path / "a.png")
    values = drawn[0].axes[0].images[0].get_array()
    np.testing.assert_array_equal(values, 0.75 * np.eye(4) + 0.25)
    make("gate_stats", tmp_path / "b.png")
    shares = drawn[1].axes[1].images[0].get_array()
    np.testing.assert_allclose(shares, np.repeat(np.arange(4)[:, None] / 6, 4, 1))


def test_readout_without_known_costs_is_drawn_over_blocks(tmp_path, drawn):
    rows = [{**row, "macs": None} for row in TABLES["readout"]]
    figures.plot_readout(Table(rows), tmp_path / "a.png")
    assert drawn[0].axes[0].get_xlabel() == "block (stage.number)"
    make("readout", tmp_path / "b.png")
    assert [x for x, _, _ in points(drawn[1].axes[0])] == [1.0, 2.0]
    assert "millions" in drawn[1].axes[0].get_xlabel()


def test_many_blocks_are_labeled_at_intervals(tmp_path, drawn):
    names = [f"stage{s}_block{b}" for s in (1, 2, 3) for b in range(1, 19)]
    rows = [{"block": n, "of": "residual", "share": 0.1, "low": 0.0, "high": 0.2} for n in names]
    figures.plot_residual_mean(Table(rows), tmp_path / "a.png")
    labels = [text.get_text() for text in drawn[0].axes[0].get_xticklabels()]
    assert len(labels) <= drawing.MOST_LABELS
    assert labels[:2] == ["1.1", "1.4"]
