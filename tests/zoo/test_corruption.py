"""The scores of the presets on corrupted pictures, and what clean accuracy explains of them."""

import csv

import numpy as np
import pytest

from keras_unrolled import InputError, data
from keras_unrolled.data.corruptions import KINDS
from zoo import compare, corruption
from zoo.build import RESULTS


@pytest.fixture(scope="module")
def records():
    return compare.list_twenty_layers()


@pytest.fixture(scope="module")
def answers(records):
    """What nine made-up networks have right; the first one is best, the last one worst."""
    rng = np.random.default_rng(0)
    levels = np.linspace(0.9, 0.5, len(records))[:, None]
    conditions = [corruption.CLEAN, *((kind, severity) for kind in KINDS for severity in (1, 5))]
    return {pair: rng.random((len(records), 50)) < levels for pair in conditions}


def test_networks_are_the_nine_of_twenty_layers(records):
    assert len(records) == 9
    assert {"resnet_bn_cifar10", "highway_nobn_cifar10"} <= set(records)
    assert not any("56" in name for name in records)


def test_groups_have_every_kind_once():
    assert sorted(sum(corruption.GROUPS.values(), ())) == sorted(KINDS)


def test_correlation_and_interval_are_those_of_scipy(rng):
    stats = pytest.importorskip("scipy.stats")
    clean = rng.random(9)
    draws = clean[:, None] * 2 + rng.normal(0, 0.4, (9, 500))
    corrupted = draws.mean(-1) + rng.normal(0, 0.3, 9)
    row = corruption.correlate(clean, corrupted, draws)
    expected = stats.pearsonr(clean, corrupted)
    interval = expected.confidence_interval()
    assert (row["n"], row["r"]) == (9, pytest.approx(expected.statistic))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert row["p"] == pytest.approx(expected.pvalue, abs=0.05)
    line = stats.linregress(clean, corrupted)
    assert row["slope"] == pytest.approx(line.slope)
    np.testing.assert_allclose(row["residuals"], corrupted - line.intercept - line.slope * clean)
    assert (row["residual_low"] < row["residual_high"]).all()


def test_network_off_the_line_is_named(records, answers):
    answers = {pair: right.copy() for pair, right in answers.items()}
    place = list(records).index("highway_t_only_bn_cifar10")
    for pair, right in answers.items():
        right[place] = pair == corruption.CLEAN
    table = corruption.make_answers_table(records, answers)
    assert table.count("`highway_t_only_bn_cifar10` -") == 2
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:]] == ["9", "7"]


def test_rows_and_table_have_the_accuracies(records, answers):
    rows = corruption.make_rows(records, answers)
    assert len(rows) == 9 * (1 + 14 * 2)
    row = next(r for r in rows if (r["kind"], r["severity"]) == ("fog", 5))
    assert row["accuracy"] == answers["fog", 5][0].mean()
    table = corruption.make_table(records, answers).splitlines()[2:]
    assert [line.split("`")[1] for line in table] == sorted(
        records, key=lambda name: -corruption.average(answers)[list(records).index(name)].mean()
    )
    noise = [k for k in answers if k[0].endswith("noise")]
    expected = np.mean([answers[k][0].mean() for k in noise])
    best = next(line for line in table if f"`{next(iter(records))}`" in line)
    assert f"| {expected:.1%} |" in best


def test_first_pictures_of_each_class_are_chosen():
    labels = np.array([1, 0, 1, 0, 0, 1, 1])
    assert corruption.choose_first(labels, 4).tolist() == [0, 1, 2, 3]
    for count in (3, 8):
        with pytest.raises(InputError, match="multiple of 2 pictures"):
            corruption.choose_first(labels, count)


def test_answers_are_kept_for_the_same_presets_only(records, answers, tmp_path):
    corruption.save_answers(tmp_path / "a.npz", list(records), answers)
    again = corruption.load_answers(tmp_path / "a.npz", list(records))
    assert list(again) == list(answers)
    assert all(np.array_equal(again[pair], answers[pair]) for pair in answers)
    with pytest.raises(InputError, match="those of others"):
        corruption.load_answers(tmp_path / "a.npz", list(records)[:-1])


@pytest.mark.slow
def test_scores_in_the_table_are_those_of_the_presets():
    with (RESULTS / "corruption.csv").open(encoding="utf-8") as file:
        rows = {(r["preset"], r["kind"], r["severity"]): r for r in csv.DictReader(file)}
    examples = data.load_sample()
    found = corruption.measure(["resnet_bn_cifar10"], examples, [])
    row = rows["resnet_bn_cifar10", "clean", "0"]
    assert float(row["accuracy"]) == pytest.approx(found[corruption.CLEAN][0].mean(), abs=0.002)
    images = corruption.corrupt(examples.images[:], "fog", 3)
    fog = corruption.measure(
        ["resnet_bn_cifar10"], data.Examples(images, examples.labels, examples.names, "fog"), []
    )
    row = rows["resnet_bn_cifar10", "fog", "3"]
    assert float(row["accuracy"]) == pytest.approx(fog[corruption.CLEAN][0].mean(), abs=0.002)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tfds", "/nowhere"], "CIFAR-10 as TFDS prepares it"),
        (["--count", "7"], "a multiple of 10"),
    ],
)
def test_bad_input_ends_with_a_message(arguments, message, capsys):
    assert corruption.main(arguments) == 2
    assert message in capsys.readouterr().err
