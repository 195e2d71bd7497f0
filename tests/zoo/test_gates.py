"""How far the gates of adapted presets have moved."""

import dataclasses

import numpy as np
import pytest

import keras_unrolled as ku
from zoo import compare, gates

SOURCE = "resnet_bn_cifar10"


@pytest.fixture
def folder(tmp_path):
    """A regated preset whose gates are as they began, but for the first, which is open by 0.9 for all."""
    model = ku.from_preset(SOURCE, gating="c_only")
    (gate,) = model.backbone.stages[0][0].gates()
    layer = gate.output_layer
    bias = layer.beta if hasattr(layer, "beta") else layer.bias
    bias.assign(np.full(bias.shape, np.log(9.0)))
    ku.save_preset(model, tmp_path / "moved", name="moved")
    return tmp_path / "moved"


def test_rows_have_the_start_and_where_the_gates_are_now(folder):
    images = ku.data.load_sample().images[:4]
    rows = gates.measure(str(folder), SOURCE, "c_only", images)
    assert [row["gate"] for row in rows] == ["carry"] * 9
    assert rows[0]["block"] == "stage1_block1"
    start = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose([row["start"] for row in rows], start, rtol=1e-5)
    np.testing.assert_allclose([row["mean"] for row in rows], [0.9, *[start] * 8], rtol=1e-5)
    np.testing.assert_allclose([row["std"] for row in rows], 0, atol=1e-4)
    cells = [cell.strip() for cell in gates.make_table(rows).splitlines()[2].split("|")[1:-1]]
    assert cells[1:5] == ["stage1_block1", "C", "0.731", "0.900"]


def test_presets_are_grouped_by_recipe_and_depth():
    groups = {
        "resnet_bn_cifar10": "",
        "highway56_bn_cifar10": "56",
        "highway_adapted_bn_cifar10": "adapt",
        "resnet_distilled_bn_cifar10": "distill",
        "highway_variational_small_ptb": "variational",
        "plain_small_ptb": "",
    }
    assert {name: compare.find_group(name) for name in groups} == groups


def test_group_includes_the_preset_that_it_started_from():
    names = ["resnet_bn_cifar10", "highway_bn_cifar10", "highway_adapted_bn_cifar10"]
    records = {name: ku.load_record(name) for name in names[:2]}
    recipe = {**records[SOURCE].training["recipe"], "init": SOURCE}
    records[names[2]] = dataclasses.replace(records[SOURCE], training={"recipe": recipe})
    assert compare.list_group("adapt", names, records) == [names[0], names[2]]
    assert compare.list_group("", names, records) == names[:2]


def test_bad_count_ends_with_a_message(capsys):
    assert gates.main(["--count", "0"]) == 2
    assert "`--count` to be a whole number from 1 to 1,000" in capsys.readouterr().err


def test_zoo_without_adapted_presets_ends_with_a_message(monkeypatch, capsys):
    monkeypatch.setattr(gates, "list_trained", lambda: {SOURCE: ku.load_record(SOURCE)})
    assert gates.main([]) == 2
    assert "Found none. Train highway_adapted_bn_cifar10" in capsys.readouterr().err
