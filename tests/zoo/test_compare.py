"""The tables that compare the presets, and the page that has them."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import paths
from zoo import claims, compare, further_runs
from zoo.paired import compare as compare_answers


def test_claims_table_has_trained_presets_only():
    rng = np.random.default_rng(0)
    good = rng.random(10_000) < 0.92
    close = good ^ (rng.random(10_000) < 0.01)
    found = {
        "resnet_bn_cifar10": good,
        "highway_bn_cifar10": close & (rng.random(10_000) < 0.97),
        "resnet_nobn_cifar10": good ^ (np.arange(10_000) % 200 == 0),
    }
    text = claims.claims_table("cifar10", compare_answers(found, None))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        ["`resnet_bn`", "`highway_bn`"],
        ["`resnet_bn`", "`resnet_nobn`"],
    ]
    assert rows[0][-1] == "yes"
    ahead = (found["resnet_bn_cifar10"].mean() - found["highway_bn_cifar10"].mean()) * 100
    assert rows[0][4].startswith(f"{ahead:+.2f}%")


def test_order_table_compares_each_preset_with_the_next_better_one():
    right = np.arange(1_000) < 900
    found = {
        "plain_bn_cifar10": right & (np.arange(1_000) >= 30),
        "resnet_bn_cifar10": right,
        "highway_bn_cifar10": right & (np.arange(1_000) >= 20),
    }
    text = claims.order_table("cifar10", found, compare_answers(found, None))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert [row[0] for row in rows] == [
        "`resnet_bn_cifar10`",
        "`highway_bn_cifar10`",
        "`plain_bn_cifar10`",
    ]
    assert [row[4] for row in rows] == ["90.00%", "88.00%", "87.00%"]
    assert rows[0][5:] == ["", ""]
    assert [row[5].split()[0] for row in rows[1:]] == ["-2.00%", "-1.00%"]
    # Of 20 and of 10 images all on one side; the larger p stands, the smaller one is doubled.
    assert [row[6] for row in rows[1:]] == [f"{2 * 2 / 2**20:.2g}", f"{2 / 2**10:.2g}"]


@pytest.mark.parametrize(
    ("claim", "row", "expected"),
    [
        ("ahead", {"effect": 0.1, "p": 0.001}, "yes"),
        ("far ahead", {"effect": -0.1, "p": 0.001}, "no, the opposite"),
        ("ahead", {"effect": 0.1, "p": 0.2}, "not significant"),
        ("about equal", {"low": 0.99, "high": 1.01}, "yes"),
        ("about equal", {"low": 1.03, "high": 1.05}, "no"),
        ("about equal", {"low": 0.9, "high": 0.97}, "no"),
        ("about equal", {"low": 0.97, "high": 1.01}, "inconclusive"),
    ],
)
def test_verdict_on_a_claim(claim, row, expected):
    assert claims.verdict(claim, row) == expected


def test_lower_perplexity_is_ahead():
    rng = np.random.default_rng(0)
    ends = np.arange(2_000) % 20 == 19
    worse = rng.gamma(2.0, 2.0, 2_000)
    rows = compare_answers({"a": worse - 0.1, "b": worse + rng.normal(size=2_000) * 0.01}, ends)
    assert rows["a", "b"]["effect"] == pytest.approx(0.1, abs=1e-3)
    assert rows["b", "a"]["effect"] < 0
    assert claims.verdict("ahead", rows["a", "b"]) == "yes"


def test_filling_a_table_keeps_the_rest_of_the_page():
    page = "a\n<!-- x: python -m zoo.compare -->\nold\n<!-- /x -->\nb\n"
    new = compare.fill_table(page, "x", "new")
    assert new == page.replace("old", "new")
    assert compare.fill_table(new, "x", "new") == new


@pytest.mark.parametrize("page", ["a\n", "<!-- /x -->\n<!-- x: python -m zoo.compare -->\n"])
def test_page_without_a_place_for_a_table_is_rejected(page):
    with pytest.raises(ku.InputError, match="a place for the table 'x'"):
        compare.fill_table(page, "x", "new")


def test_results_page_has_every_trained_preset_with_its_recorded_score():
    table = r"<!-- [\w ]*order: python -m zoo.compare -->(.*?)<!-- /"
    tables = "".join(re.findall(table, compare.PAGE.read_text(), re.S))
    row = r"^\| `(\w+)` \| \w+ \|[^|]*\|[^|]*\| ([\d.]+)%? \|"
    found = dict(re.findall(row, tables, re.M))
    trained = [r for r in ku.list_presets() if r.origin == "trained" and r.has_weights]
    assert found.keys() == {record.name for record in trained}
    for record in trained:
        (score,) = (m["value"] for m in record.metrics if m["split"] == "test")
        scale = 100 if record.metrics[0]["metric"] == "accuracy" else 1
        assert float(found[record.name]) == pytest.approx(score * scale, abs=0.011)


NAME = "resnet_bn_cifar10"


@pytest.fixture
def workdir(tmp_path):
    """The folder of a run of `resnet_bn_cifar10` as if it had been made with another seed and rate."""
    folder = tmp_path / "run/preset"
    shutil.copytree(paths.zoo() / "checkpoints" / NAME, folder)
    record = json.loads((folder / "record.json").read_text())
    record["training"]["recipe"] |= {"seed": 7, "learning_rate": 0.1, "text": "another"}
    (folder / "record.json").write_text(json.dumps(record))
    return folder.parent


def test_further_run_is_described_by_its_changed_settings(workdir):
    ((path, record),) = further_runs.find_runs([workdir], [NAME]).items()
    assert path == str(workdir / "preset")
    own = ku.load_record(NAME).training["recipe"]
    assert (
        further_runs.describe_changes(record.training["recipe"], own) == "learning_rate=0.1 seed=7"
    )
    assert further_runs.describe_changes(own, own) == ""
    deeper = {**own, "network": {**own["network"], "depth": 32}}
    assert further_runs.describe_changes(deeper, own) == "network.depth=32"


def test_unfinished_or_unknown_run_is_rejected(workdir, tmp_path):
    with pytest.raises(ku.InputError, match="a run of resnet_bn_cifar10"):
        further_runs.find_runs([workdir], ["plain_bn_cifar10"])
    with pytest.raises(ku.InputError, match="that has finished"):
        further_runs.find_runs([tmp_path], [NAME])
    assert compare.main(["--tfds", "x", "--ptb", "x", "--runs", str(tmp_path)]) == 2


def test_row_of_a_run_has_the_difference_and_replaces_the_older_row(workdir):
    ((_, record),) = further_runs.find_runs([workdir], [NAME]).items()
    preset = ku.load_record(NAME)
    better = np.arange(1_000) < 910
    worse = better & (np.arange(1_000) >= 20)
    row = further_runs.make_row("cifar10", record, preset, (better, worse), None)
    assert float(row["score"]) == 0.91
    assert float(row["preset_score"]) == 0.89
    assert float(row["value"]) == pytest.approx(0.02)
    assert float(row["p"]) == pytest.approx(2 / 2**20, rel=1e-4)
    older = {**row, "score": "0.5"}
    other = {**row, "changed": "seed=8"}
    assert further_runs.merge([older, other], [row]) == [row, other]
    (line,) = further_runs.runs_table("cifar10", [row, {**row, "dataset": "ptb"}]).splitlines()[2:]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:4] == [f"`{NAME}`", "`learning_rate=0.1 seed=7`", "91.00%", "89.00%"]
    assert cells[4].startswith("+2.00% (")


def test_row_of_a_language_model_has_the_ratio_of_perplexities():
    preset = ku.load_record("plain_small_ptb")
    losses = np.random.default_rng(0).gamma(2.0, 2.0, 2_000)
    ends = np.arange(2_000) % 20 == 19
    row = further_runs.make_row("ptb", preset, preset, (losses + 0.1, losses), ends)
    assert float(row["value"]) == pytest.approx(np.exp(0.1), rel=1e-4)
    assert float(row["score"]) == pytest.approx(np.exp(losses.mean() + 0.1), rel=1e-4)
    assert row["changed"] == ""
    assert "| `nothing` |" in further_runs.runs_table("ptb", [row])


def test_results_page_has_every_further_run():
    rows = list(csv.DictReader(further_runs.RUNS.read_text().splitlines()))
    assert rows
    page = compare.PAGE.read_text()
    for dataset in claims.CLAIMS:
        present = any(row["dataset"] == dataset for row in rows)
        table = further_runs.runs_table(dataset, rows) if present else ""
        assert compare.fill_table(page, f"{dataset} runs", table).split() == page.split()
    for row in rows:
        (score,) = (
            m["value"] for m in ku.load_record(row["preset"]).metrics if m["split"] == "test"
        )
        assert float(row["preset_score"]) == pytest.approx(score, rel=1e-5)
