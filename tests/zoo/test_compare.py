"""The tables that set the presets beside each other, and the page that keeps them."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import paths
from zoo import compare


def test_findings_are_told_only_of_presets_that_are_trained_and_only_where_sure():
    rng = np.random.default_rng(0)
    good = rng.random(10_000) < 0.92
    close = good ^ (rng.random(10_000) < 0.01)
    found = {
        "resnet_bn_cifar10": good,
        "highway_bn_cifar10": close & (rng.random(10_000) < 0.97),
        "resnet_nobn_cifar10": good ^ (np.arange(10_000) % 200 == 0),
    }
    text = compare.claims_table("cifar10", compare.compare(found, None))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        ["`resnet_bn`", "`highway_bn`"],
        ["`resnet_bn`", "`resnet_nobn`"],
    ]
    assert rows[0][-1] == "yes"
    ahead = (found["resnet_bn_cifar10"].mean() - found["highway_bn_cifar10"].mean()) * 100
    assert rows[0][4].startswith(f"{ahead:+.2f}%")


def test_the_order_goes_from_the_best_and_tells_how_far_each_is_behind_the_one_before():
    right = np.arange(1_000) < 900
    found = {
        "plain_bn_cifar10": right & (np.arange(1_000) >= 30),
        "resnet_bn_cifar10": right,
        "highway_bn_cifar10": right & (np.arange(1_000) >= 20),
    }
    text = compare.order_table("cifar10", found, compare.compare(found, None))
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
        ("far ahead", {"effect": -0.1, "p": 0.001}, "no, the other way round"),
        ("ahead", {"effect": 0.1, "p": 0.2}, "not told apart"),
        ("about equal", {"low": 0.99, "high": 1.01}, "yes"),
        ("about equal", {"low": 1.03, "high": 1.05}, "no"),
        ("about equal", {"low": 0.9, "high": 0.97}, "no"),
        ("about equal", {"low": 0.97, "high": 1.01}, "not told"),
    ],
)
def test_a_finding_is_as_the_paper_has_it_or_not_or_not_told(claim, row, expected):
    assert compare.verdict(claim, row) == expected


def test_of_language_models_the_lower_perplexity_is_ahead():
    rng = np.random.default_rng(0)
    ends = np.arange(2_000) % 20 == 19
    worse = rng.gamma(2.0, 2.0, 2_000)
    rows = compare.compare({"a": worse - 0.1, "b": worse + rng.normal(size=2_000) * 0.01}, ends)
    assert rows["a", "b"]["effect"] == pytest.approx(0.1, abs=1e-3)
    assert rows["b", "a"]["effect"] < 0
    assert compare.verdict("ahead", rows["a", "b"]) == "yes"


def test_a_page_keeps_what_stands_outside_the_marks():
    page = "a\n<!-- x: python -m zoo.compare -->\nold\n<!-- /x -->\nb\n"
    new = compare.fill(page, "x", "new")
    assert new == page.replace("old", "new")
    assert compare.fill(new, "x", "new") == new


def test_the_page_of_results_has_every_trained_preset_with_its_recorded_score():
    found = dict(
        re.findall(
            r"^\| `(\w+)` \| \w+ \|[^|]*\|[^|]*\| ([\d.]+)%? \|", compare.PAGE.read_text(), re.M
        )
    )
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


def test_a_further_run_is_found_with_what_its_recipe_has_changed(workdir):
    ((path, record),) = compare.find_runs([workdir], [NAME]).items()
    assert path == str(workdir / "preset")
    own = ku.load_record(NAME).training["recipe"]
    assert compare.changed(record.training["recipe"], own) == "learning_rate=0.1 seed=7"
    assert compare.changed(own, own) == ""
    deeper = {**own, "network": {**own["network"], "depth": 32}}
    assert compare.changed(deeper, own) == "network.depth=32"


def test_a_run_that_has_not_ended_or_is_of_no_preset_is_refused(workdir, tmp_path):
    with pytest.raises(ku.InputError, match="a run of resnet_bn_cifar10"):
        compare.find_runs([workdir], ["plain_bn_cifar10"])
    with pytest.raises(ku.InputError, match="once it has ended"):
        compare.find_runs([tmp_path], [NAME])
    assert compare.main(["--tfds", "x", "--ptb", "x", "--runs", str(tmp_path)]) == 2


def test_a_run_stands_beside_its_preset_with_the_difference_and_replaces_the_older_row(workdir):
    ((_, record),) = compare.find_runs([workdir], [NAME]).items()
    preset = ku.load_record(NAME)
    better = np.arange(1_000) < 910
    worse = better & (np.arange(1_000) >= 20)
    row = compare.run_row("cifar10", record, preset, (better, worse), None)
    assert float(row["score"]) == 0.91
    assert float(row["preset_score"]) == 0.89
    assert float(row["value"]) == pytest.approx(0.02)
    assert float(row["p"]) == pytest.approx(2 / 2**20, rel=1e-4)
    older = {**row, "score": "0.5"}
    other = {**row, "changed": "seed=8"}
    assert compare.merge([older, other], [row]) == [row, other]
    (line,) = compare.runs_table("cifar10", [row, {**row, "dataset": "ptb"}]).splitlines()[2:]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:4] == [f"`{NAME}`", "`learning_rate=0.1 seed=7`", "91.00%", "89.00%"]
    assert cells[4].startswith("+2.00% (")


def test_of_a_run_of_a_language_model_the_ratio_of_perplexities_is_told():
    preset = ku.load_record("plain_small_ptb")
    losses = np.random.default_rng(0).gamma(2.0, 2.0, 2_000)
    ends = np.arange(2_000) % 20 == 19
    row = compare.run_row("ptb", preset, preset, (losses + 0.1, losses), ends)
    assert float(row["value"]) == pytest.approx(np.exp(0.1), rel=1e-4)
    assert float(row["score"]) == pytest.approx(np.exp(losses.mean() + 0.1), rel=1e-4)
    assert row["changed"] == ""
    assert "| `nothing` |" in compare.runs_table("ptb", [row])


def test_the_page_tells_every_further_run_with_its_kept_score():
    rows = list(csv.DictReader(compare.RUNS.read_text().splitlines()))
    assert rows
    page = compare.PAGE.read_text()
    for dataset in compare.CLAIMS:
        told = any(row["dataset"] == dataset for row in rows)
        table = compare.runs_table(dataset, rows) if told else ""
        assert compare.fill(page, f"{dataset} runs", table).split() == page.split()
    for row in rows:
        (score,) = (
            m["value"] for m in ku.load_record(row["preset"]).metrics if m["split"] == "test"
        )
        assert float(row["preset_score"]) == pytest.approx(score, rel=1e-5)
