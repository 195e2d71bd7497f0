"""Sentences follow from the numbers: each can be for, against and neither."""

import re

import pytest
from scipy import stats

from keras_unrolled.analysis.table import Table
from keras_unrolled.evaluation.comparison import paired_interval
from keras_unrolled.reporting import schedule_findings as findings
from keras_unrolled.reporting.verdicts import AGAINST, FOR, NEITHER, Context

CONTEXT = Context("residual", num_classes=10, removable=4)


def make(keys, intact, changes, *, before=0.9, width=0.01, turns=(False,), labeled=True):
    """A table of schedules: `changes` of accuracy, with intervals of plus and minus `width`."""
    rows = []
    for turn in turns:
        for key, change in [(intact, 0.0), *zip(keys, changes)]:
            row = {**key, "recalibrated": turn, "n": 1000, "kl": 0.1, "agreement": 1 - abs(change)}
            scores = dict.fromkeys(("accuracy", "loss", "low", "high", "difference"))
            if labeled:
                after = before + change
                scores = {"accuracy": after, "loss": 1.0, "low": after - width}
                scores |= {"high": after + width, "difference": change}
            rows.append({**row, **scores})
    return Table(rows)


def lesion(changes, names=None, **options):
    names = names or [f"stage1_block{i + 1}" for i in range(len(changes))]
    keys = [{"block": name, "how": "identity"} for name in names]
    return make(keys, {"block": "none", "how": "none"}, changes, **options)


def sides(found):
    return [f.verdict for f in found]


def test_lesions_are_for_against_or_undecided_by_their_whole_interval():
    found = findings.judge_lesion(lesion([-0.01, -0.3, -0.05]), CONTEXT)
    assert sides(found) == [FOR, AGAINST, NEITHER]
    assert found[0].text == (
        "Leaving out a block costs less than 5 points of accuracy in 1 of 3 cases; accuracy changes by: "
        "block 1.1 -1.0 points (95%: -2.0 to +0.0)."
    )
    assert "costs more than 5 points of accuracy in 1 of 3 cases" in found[1].text
    assert "block 1.2 -30.0 points" in found[1].text
    assert found[2].text.startswith("Whether leaving out a block costs more or less than 5 points")
    assert sides(findings.judge_lesion(lesion([-0.01, 0.0]), CONTEXT)) == [FOR]
    assert sides(findings.judge_lesion(lesion([-0.2, -0.3]), CONTEXT)) == [AGAINST]
    wide = findings.judge_lesion(lesion([-0.01, -0.3], width=0.5), CONTEXT)
    assert FOR not in sides(wide)


def test_transition_blocks_are_on_neither_side():
    context = Context("residual", transitions=frozenset({"stage2_block1"}), num_classes=10)
    found = findings.judge_lesion(
        lesion([-0.01, -0.5], ["stage1_block1", "stage2_block1"]), context
    )
    assert sides(found) == [FOR, NEITHER]
    assert "block 2.1 -50.0 points" in found[1].text
    assert "2.1" not in found[0].text


def test_lesion_that_leaves_chance_counts_against_the_view():
    found = findings.judge_lesion(lesion([-0.8]), CONTEXT)
    assert sides(found) == [AGAINST, AGAINST]
    low, high = stats.binomtest(100, 1000).proportion_ci(method="wilson")
    assert found[1].text == (
        "Accuracy is no better than chance (10.0%) plus 5 points in 1 of 1 case: block 1.1 10.0% "
        f"(95%: {100 * low:.1f} to {100 * high:.1f})."
    )
    assert sides(findings.judge_lesion(lesion([-0.7]), CONTEXT)) == [AGAINST]


def count_chance(table, context=CONTEXT):
    return sum("chance" in f.text for f in findings.judge_lesion(table, context))


def test_chance_is_judged_by_the_accuracys_own_interval():
    narrow = lesion([-0.8], width=0.0)
    assert count_chance(narrow) == 1
    for row in narrow:  # whatever the interval of the change is, 20 images do not tell
        row["n"] = 20
    assert count_chance(narrow) == 0


def test_networks_at_chance_and_transition_blocks_are_not_judged_by_chance():
    assert count_chance(lesion([0.0], before=0.12)) == 0
    context = Context("residual", transitions=frozenset({"stage1_block1"}), num_classes=10)
    assert count_chance(lesion([-0.8]), context) == 0


def test_recalibrated_rows_have_sentences_of_their_own():
    table = lesion([-0.2], turns=(False, True))
    table.rows[3] |= {"accuracy": 0.89, "difference": -0.01, "low": 0.88, "high": 0.9}
    found = findings.judge_lesion(table, CONTEXT)
    assert sides(found) == [AGAINST, FOR, NEITHER]
    assert found[1].text.startswith(
        "With recalibrated batch statistics, leaving out a block costs less than"
    )
    assert "from 90.0% to 90.0%" in found[2].text


def test_recalibrated_rows_are_compared_with_the_recalibrated_network():
    table = lesion([-0.2], turns=(False, True))
    table.rows[2] |= {"accuracy": 0.7, "difference": -0.2, "low": 0.69, "high": 0.71}
    table.rows[3] |= {"accuracy": 0.71, "difference": -0.19, "low": 0.7, "high": 0.72}
    found = findings.judge_lesion(table, CONTEXT)
    assert sides(found) == [AGAINST, FOR, NEITHER]
    assert "+1.0 points (95%: +0.0 to +2.0)" in found[1].text
    assert "turns accuracy from 90.0% to 70.0%" in found[2].text


def test_without_labels_answers_that_stay_the_same_count():
    found = findings.judge_lesion(lesion([-0.01, -0.3], labeled=False), CONTEXT)
    assert sides(found) == [FOR, AGAINST]
    low, high = paired_interval(700, 0, 300, 0)
    shown = f"block 1.2 70.0% (95%: {100 + 100 * low:.1f} to {100 + 100 * high:.1f})"
    assert f"answers stay the same for: {shown}" in found[1].text
    assert not any("accuracy" in f.text for f in found)


def shuffle(rows, **options):
    keys = [
        {"stage": 1, "kind": "order", "order": f"order{i}", "discordant": pairs, "tau": 0.0}
        for i, (pairs, _) in enumerate(rows)
    ]
    intact = {"stage": 0, "kind": "none", "order": "", "discordant": 0, "tau": 1.0}
    return make(keys, intact, [change for _, change in rows], **options)


@pytest.mark.parametrize(("slope", "how"), [(-0.1, "do more damage"), (0.1, "do less damage")])
def test_damage_by_disorder_is_a_rank_correlation(slope, how):
    rows = [(pairs, -0.5 + slope * pairs + 0.001 * i) for i, pairs in enumerate([1, 1, 2, 2, 3, 4])]
    table = shuffle(rows, before=0.5)
    table.rows[0] |= {"accuracy": 0.9 if slope < 0 else 0.0}
    found = [f for f in findings.judge_shuffle(table, CONTEXT) if "rank correlation" in f.text]
    assert sides(found) == [NEITHER]
    assert how in found[0].text
    expected = stats.spearmanr([0, *(p for p, _ in rows)], table["accuracy"]).statistic
    assert f"accuracy {expected:.2f} " in found[0].text
    assert "over 7 orders" in found[0].text


def test_damage_by_more_disorder_is_expected_and_on_neither_side():
    found = findings.judge_shuffle(shuffle([(1, -0.3), (3, -0.5), (4, 0.0)]), CONTEXT)
    assert sides(found) == [AGAINST, FOR, NEITHER]
    assert "-50.0 points" in found[2].text


def test_few_orders_or_equal_scores_have_no_correlation():
    few = findings.judge_shuffle(shuffle([(1, -0.1), (2, -0.2), (3, -0.3)]), CONTEXT)
    equal = findings.judge_shuffle(shuffle([(i, 0.0) for i in (1, 1, 2, 2, 3)]), CONTEXT)
    assert not any("rank correlation" in f.text for f in (*few, *equal))
    assert sides(equal) == [FOR, FOR]
    assert "Exchanging two neighbors" in few[0].text


def test_repeats_are_judged_by_how_often_a_block_is_run():
    keys = [{"block": "stage1_block1", "times": times} for times in (2, 3, 7)]
    table = make(keys, {"block": "none", "times": 1}, [0.0, -0.3, -0.05])
    found = findings.judge_repeat(table, CONTEXT)
    assert sides(found) == [FOR, AGAINST, NEITHER]
    for text, words in zip(found, ("twice", "three times", "7 times")):
        assert re.search(rf"unning a block {words} in a row", text.text)


def test_parallel_blocks_are_named_by_their_ends():
    keys = [{"stage": 1, "blocks": "stage1_block1+stage1_block2+stage1_block3"}]
    table = make(keys, {"stage": 0, "blocks": "none"}, [-0.4])
    (found,) = findings.judge_parallel(table, CONTEXT)
    assert found.verdict == AGAINST
    assert "blocks 1.1 to 1.3 -40.0 points" in found.text


def dropout(values):
    keys = [{"count": count, "blocks": f"set{i}"} for i, (count, _) in enumerate(values)]
    return make(keys, {"count": 0, "blocks": "none"}, [v - 0.9 for _, v in values])


def test_dropout_curve_is_compared_with_half_of_the_way_to_chance():
    high = dropout([(1, 0.88), (1, 0.86), (2, 0.8), (2, 0.81)])
    low = dropout([(1, 0.2), (1, 0.21), (2, 0.1), (2, 0.1)])
    between = dropout([(1, 0.8), (1, 0.81), (2, 0.2), (2, 0.21)])
    found = [findings.judge_layer_dropout_curve(t, CONTEXT)[0] for t in (high, low, between)]
    assert sides(found) == [FOR, AGAINST, NEITHER]
    assert "above half of the way from the intact network to chance (50.0%)" in found[0].text
    assert "2 blocks left out 80.5% (95%: 74.1 to 86.9)" in found[0].text  # Student's t, 1 degree
    assert "below half" in found[1].text
    assert "1 block left out 80.5%" in found[2].text


def test_one_set_has_no_interval_and_no_verdict():
    (found,) = findings.judge_layer_dropout_curve(dropout([(1, 0.9)]), CONTEXT)
    assert found.verdict == NEITHER
    assert "1 block left out 90.0%;" in found.text


def test_dropout_curve_of_a_network_at_chance_is_on_neither_side():
    table = dropout([(1, 0.1), (1, 0.1)])
    table.rows[0]["accuracy"] = 0.1
    (found,) = findings.judge_layer_dropout_curve(table, CONTEXT)
    assert found.verdict == NEITHER
    assert "near chance" in found.text
