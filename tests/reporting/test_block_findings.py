"""Sentences follow from the numbers: each can be for, against and neither."""

import numpy as np
import pytest

from keras_unrolled.analysis.table import Table
from keras_unrolled.reporting import block_findings as blocks
from keras_unrolled.reporting import gate_findings as gates
from keras_unrolled.reporting.verdicts import AGAINST, FOR, NEITHER, Context, Estimate

STAGES = [[f"stage{s}_block{b}" for b in (1, 2, 3)] for s in (1, 2)]
NAMES = [name for stage in STAGES for name in stage]
CONTEXT = Context("coupled", STAGES, frozenset({"stage2_block1"}), 6, 10, "other")


def by_block(values, column, width=0.01, names=NAMES, **more):
    rows = []
    for name, value in zip(names, values):
        row = {"stage": int(name[5]), "block": name, column: value}
        known = value is not None and width is not None
        bounds = (value - width, value + width) if known else (None, None)
        rows.append({**row, "low": bounds[0], "high": bounds[1], **more})
    return rows


def sides(found):
    return [f.verdict for f in found]


def errors(values, network="model", **options):
    return by_block(values, "normalized", network=network, **options)


def test_estimation_error_that_falls_below_one_is_for_the_view():
    found = blocks.judge_estimation_error(Table(errors([0.9, 0.5, 0, 0.8, 0.4, 0])), CONTEXT)
    assert sides(found) == [FOR, FOR, NEITHER]
    assert "falls by more than its intervals in 2 of 2 steps: block 1.1 0.90" in found[0].text
    assert "closer" in found[1].text
    assert "There was no control" in found[2].text


def test_estimation_error_that_rises_above_one_is_against_the_view():
    found = blocks.judge_estimation_error(Table(errors([1.2, 1.5, 0, 1.3, 1.4, 0])), CONTEXT)
    assert sides(found) == [AGAINST, AGAINST, NEITHER]
    assert "rises" in found[0].text
    assert "In 4 of 4 blocks the output is farther" in found[1].text


def test_unknown_intervals_decide_nothing():
    table = Table(errors([0.9, 0.5, 0, 0.8, 0.4, 0], width=None))
    found = blocks.judge_estimation_error(table, CONTEXT)
    assert set(sides(found)) == {NEITHER}
    text = " ".join(f.text for f in found)
    assert "(95" not in text
    assert "too few images for intervals (20 at least) of the normalized error" in text
    assert "overlap" not in text


def test_one_image_is_not_a_network_without_stages():
    table = Table(errors([None] * 6, width=None))
    (found,) = blocks.judge_estimation_error(table, CONTEXT)
    assert "too few images" in found.text


def test_blocks_of_stages_of_another_depth_are_not_compared():
    names = [f"stage{s}_block{b}" for s in (1, 2) for b in range(1, 4 + (s == 2))]
    theirs = errors([0.95] * 7, "control", names=names)
    found = blocks.judge_estimation_error(Table([*errors([0.5] * 6), *theirs]), CONTEXT)
    assert "at 2 of 2 blocks: block 1.1" in found[-1].text
    deep = errors([0.95] * 4, "control", names=names[3:])
    deep += errors([0.95] * 2, "control", names=names[:2])
    found = blocks.judge_estimation_error(Table([*errors([0.5] * 6), *deep]), CONTEXT)
    assert found[-1].verdict == NEITHER
    assert "No stage of other has as many blocks" in found[-1].text


@pytest.mark.parametrize(("other", "side"), [(0.95, FOR), (0.2, AGAINST), (0.505, NEITHER)])
def test_control_decides_for_the_network_that_is_closer(other, side):
    ours, theirs = errors([0.5] * 6), errors([other] * 6, "control")
    found = blocks.judge_estimation_error(Table([*ours, *theirs]), CONTEXT)
    assert found[-1].verdict == side
    assert "other" in found[-1].text


def test_stages_of_one_block_have_nothing_to_estimate():
    context = Context("residual", [["stage1_block1"]])
    (found,) = blocks.judge_estimation_error(Table(errors([0.0], names=NAMES[:1])), context)
    assert found.verdict == NEITHER
    assert "0 by construction" in found.text


def test_mean_of_the_residual_is_compared_with_a_share_of_its_power():
    table = [*by_block([0.3, 0.01, 0.05], "share", of="residual")]
    table += by_block([0.4, 0.2, 0.1], "share", of="change")
    found = blocks.judge_residual_mean(Table(table), CONTEXT)
    assert sides(found) == [AGAINST, FOR, NEITHER, NEITHER]
    assert "in 1 of 3 blocks, where the view expects none: block 1.1 0.30" in found[0].text
    assert "pushes up" in found[3].text
    assert "10.0% to 40.0%" in found[3].text


def test_change_of_the_output_is_left_out_without_a_last_relu():
    table = [*by_block([0.3], "share", of="residual"), *by_block([0.3], "share", of="change")]
    assert sides(blocks.judge_residual_mean(Table(table), CONTEXT)) == [AGAINST]


def gate(values, letter="transform", kind="free"):
    more = {"gate": letter, "kind": kind, "shut": 0.2, "open": 0.1, "between_images": 0.05}
    return by_block(values, "mean", **more)


def test_what_gates_pass_on_is_on_neither_side():
    values = [0.9, 0.2, 0.5, 0.9, 0.8, 0.8]
    table = [*gate([0.2, 0.8, 0.5, 0.1, 0.2, 0.2]), *gate(values, "carry", "coupled")]
    found = gates.judge_gate_stats(Table(table), CONTEXT)
    assert sides(found) == [NEITHER, NEITHER]
    assert "more than half of the old estimate in 3, less in 1 and about half in 1" in found[0].text
    assert "T opens least in block 2.1 0.10 (95%: 0.09 to 0.11)" in found[1].text
    assert "20% of its values are below 0.05" in found[1].text


def test_fixed_gates_are_named():
    table = [*gate([1.0], kind="one"), *gate([0.0], "carry", "zero")]
    (found,) = gates.judge_gate_stats(Table(table), CONTEXT)
    assert found.text == "The gates are fixed: T = 1 and C = 0."


def optimal(trained, tautology=False):
    more = {"gate": "transform", "later": -0.1, "correlation": 0.3, "tautology": tautology}
    rows = by_block([0.5, 0.5], "optimal", width=0.05, **more)
    return [{**row, "trained": t} for row, t in zip(rows, trained)]


def test_trained_gates_are_judged_by_the_interval_of_the_optimal_ones():
    found = gates.judge_optimal_gate(Table(optimal([0.52, 0.7])), CONTEXT)
    assert sides(found) == [NEITHER, AGAINST, NEITHER]
    assert "inside the interval of the optimal one in 1 of 2 blocks: block 1.1" in found[0].text
    assert "trained 0.70" in found[1].text
    assert "correlate by +0.30 to +0.30" in found[2].text
    assert "negative in 2 of 2 blocks" in found[2].text


def test_tautologies_are_not_judged():
    (found,) = gates.judge_optimal_gate(Table(optimal([0.5, 0.5], tautology=True)), CONTEXT)
    assert found.verdict == NEITHER
    assert "tautology" in found.text


def readout(values, width=0.02):
    return Table(by_block(values, "accuracy", width=width, names=NAMES[3:], readout="head"))


def test_readout_that_improves_is_for_the_view_and_one_at_chance_against_it():
    found = blocks.judge_readout(readout([0.3, 0.6, 0.9]), CONTEXT)
    assert sides(found) == [FOR, FOR]
    assert "rises by more than its intervals in 2 of 2 steps" in found[1].text
    assert sides(blocks.judge_readout(readout([0.1, 0.11, 0.1]), CONTEXT))[0] == AGAINST
    assert blocks.judge_readout(readout([0.5, 0.3, 0.9]), CONTEXT)[1].verdict == AGAINST
    assert FOR not in sides(blocks.judge_readout(readout([0.1, 0.2, 0.3], width=0.4), CONTEXT))


@pytest.mark.parametrize(("cosine", "side"), [(0.1, FOR), (-0.1, AGAINST), (0.005, NEITHER)])
def test_direction_of_residuals_is_judged_by_its_sign(cosine, side):
    rows = by_block([cosine] * 6, "gradient_cosine", ratio=0.5, cosine=0.9, at="input")
    found = blocks.judge_geometry(Table(rows), CONTEXT)
    assert sides(found) == [side, NEITHER]
    assert "6 of 6 blocks" in found[0].text
    without = blocks.judge_geometry(Table([{**r, "gradient_cosine": None} for r in rows]), CONTEXT)
    assert sides(without) == [NEITHER]
    unknown = [{**r, "gradient_cosine": None, "ratio": None} for r in rows]
    assert blocks.judge_geometry(Table(unknown), CONTEXT) == []


@pytest.mark.parametrize(("within", "between"), [(0.9, 0.5), (0.5, 0.9)])
def test_similarity_has_no_interval_and_no_verdict(within, between):
    rows = [
        {"block": a, "other": b, "cka": within if a[:6] == b[:6] else between}
        for a in NAMES
        for b in NAMES
    ]
    (found,) = blocks.judge_cka(Table(rows), CONTEXT)
    assert found.verdict == NEITHER
    assert f"within a stage have a CKA of {within:.2f}" in found.text
    assert f"across a transition of {between:.2f}" in found.text
    one = Context("residual", STAGES[:1])
    assert blocks.judge_cka(Table(rows), one)[0].verdict == NEITHER


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([6, 5, 4, 3, 2, 1], [FOR, NEITHER]),
        ([1, 2, 3, 4, 5, 6], [AGAINST, NEITHER]),
        ([6, 5.9, 5.8, 5.7, 5.6, 1], [FOR, AGAINST]),
    ],
)
def test_separation_is_judged_by_steps_and_by_the_line(values, expected):
    slope, _ = np.polyfit(range(6), values, 1)
    rows = by_block(values, "log_fuzziness", slope=slope, r2=0.5)
    stem = {**rows[0], "stage": 0, "block": "stem", "log_fuzziness": 9.0}
    found = blocks.judge_separation(Table([stem, *rows]), CONTEXT)
    assert sides(found) == expected
    assert f"slope of {slope:.2f}" in found[-1].text
    assert "stem" not in found[0].text


def test_separation_without_a_line_says_nothing_of_it():
    rows = by_block([1.0, None], "log_fuzziness", slope=None, r2=None)
    assert blocks.judge_separation(Table(rows), CONTEXT) == []


def test_examples_are_cut_after_three():
    rows = by_block([0.9] * 6, "share", of="residual")
    assert blocks.judge_residual_mean(Table(rows), CONTEXT)[0].text.endswith("; and 3 more.")


def test_estimate_shows_its_interval_only_where_it_is_known():
    assert Estimate.of("x", {"a": 0.5, "low": 0.4, "high": 0.6}, "a").show() == (
        "x 0.50 (95%: 0.40 to 0.60)"
    )
    assert Estimate.of("x", {"a": 0.5, "low": None, "high": None}, "a").show(".0%") == "x 50%"
