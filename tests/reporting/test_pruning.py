"""Pruned presets next to a report."""

import csv
import json

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli, data, models, reporting
from keras_unrolled.evaluation.comparison import compare_answers
from keras_unrolled.reporting.pruning import make_table, score
from tests.nets import randomize


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset of three blocks in the first stage, and pictures in `train` and `test`."""
    from PIL import Image

    root = tmp_path_factory.mktemp("pruning")
    backbone = models.ImageBackbone(
        stackwise_num_filters=[16, 16],
        stackwise_num_blocks=[3, 2],
        stackwise_num_strides=[1, 2],
        stem="cifar",
    )
    labels = ["dark", "light"]
    model = models.resnet(8, dataset="cifar", num_classes=2, labels=labels)
    model = models.ImageClassifier(backbone, 2, preprocessor=model.preprocessor, labels=labels)
    randomize(model)
    ku.save_preset(model, root / "net")
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 12)):
        for i in range(count):
            folder = root / "data" / part / labels[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 100, (16, 16, 3)) + 150 * (i % 2)
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{i}.png")
    return root


@pytest.mark.slow
def test_pruned_and_fine_tuned_presets_are_saved_with_their_scores(preset, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = [
        "analyze",
        str(preset / "net"),
        "--dataset",
        str(preset / "data"),
        "--out",
        str(out),
    ]
    arguments += ["--only", "geometry", "--prune", "2", "--finetune", "1", "--json"]
    code = cli.main(arguments)
    output = capsys.readouterr()
    assert code == 0, output.err
    rows = json.loads(output.out)["pruned"]
    assert [row["step"] for row in rows] == [
        *("as it is", "blocks left out", "recalibrated", "fine-tuned, epochs: 1"),
    ]
    assert [row["blocks"] for row in rows] == [5, 3, 3, 3]
    with open(out / "prune.csv", newline="") as file:
        assert [r["accuracy"] for r in csv.DictReader(file)] == [str(r["accuracy"]) for r in rows]
    for folder, row in (("pruned", rows[2]), ("finetuned", rows[3])):
        model = ku.from_preset(out / folder)
        assert sum(model.backbone.stackwise_num_blocks) == 3
        found = ku.evaluate(model, str(preset / "data" / "test"))
        assert found["accuracy"] == pytest.approx(row["accuracy"])
    record = ku.load_record(out / "pruned")
    assert record.metrics[0]["value"] == rows[2]["accuracy"]
    assert "without stage" in record.description
    assert "A network with fewer blocks" in (out / "report.html").read_text()
    assert "--prune 2" in (out / "report.html").read_text()


@pytest.mark.slow
def test_answers_are_compared_by_name_where_classes_are_numbered_otherwise(preset):
    model = ku.from_preset(preset / "net")
    images = data.load_sample().images[:9]
    names = list(reversed(model.labels))
    expected = model.predict(images, verbose=0).argmax(-1)

    class Inputs:
        values = images
        labels = 1 - expected  # the same classes, numbered the other way round

    assert score(model, Inputs, names).all()
    Inputs.labels = expected
    assert score(model, Inputs, model.labels).all()


def test_intervals_are_paired_with_the_whole_network(preset):
    model = ku.from_preset(preset / "net")
    rng = np.random.default_rng(0)
    whole, changed = (rng.random(40) < p for p in (0.9, 0.7))
    table = make_table([("as it is", model, whole), ("recalibrated", model, changed)])
    expected = compare_answers(changed, whole)
    row = table.rows[1]
    assert row["difference"] == expected["difference"]
    assert row["low"] == pytest.approx(whole.mean() + expected["low"])


@pytest.mark.slow
def test_pruned_preset_without_recalibration_keeps_its_statistics(preset, tmp_path):
    net, pictures, out = preset / "net", preset / "data" / "test", tmp_path / "r"
    options = {"only": "geometry", "prune": 1, "recalibrate": 0}
    result = reporting.analyze(net, out, pictures, **options)
    assert [row["step"] for row in result["pruned"]] == ["as it is", "blocks left out"]
    record, pruned, model = (
        ku.load_record(out / "pruned"),
        *map(ku.from_preset, (out / "pruned", net)),
    )
    assert "batch statistics as they were" in record.description
    assert "chosen by the images that are scored" in record.metrics[0]["origin"]
    stem = [next(v for v in m.weights if "moving_mean" in v.path).numpy() for m in (pruned, model)]
    np.testing.assert_array_equal(*stem)


@pytest.mark.slow
def test_score_says_if_statistics_are_of_the_scored_images(preset, tmp_path):
    options = {"only": "geometry", "prune": 1}
    reporting.analyze(preset / "net", tmp_path / "r", preset / "data" / "test", **options)
    origin = ku.load_record(tmp_path / "r" / "pruned").metrics[0]["origin"]
    assert "batch statistics and the choice of blocks are of the images that are scored" in origin


def test_what_cannot_be_pruned_is_rejected(preset, tmp_path):
    net, pictures = preset / "net", preset / "data" / "test"
    for options, message in [
        ({"prune": 4}, "Expected `prune` to be a whole number from 1 to 3"),
        ({"prune": 1, "prune_by": "size"}, "Expected `prune_by`"),
        ({"prune": 1, "finetune": 2}, "data with a training part"),
    ]:
        with pytest.raises(InputError, match=message):
            reporting.analyze(net, tmp_path / "r", pictures, only=["geometry"], **options)
        assert not (tmp_path / "r").exists()


def test_finetuning_without_pruning_is_rejected(preset, tmp_path, capsys):
    code = cli.main(
        ["analyze", str(preset / "net"), "--out", str(tmp_path / "r"), "--finetune", "3"]
    )
    assert code == 2
    assert "Expected --prune with --finetune" in capsys.readouterr().err
