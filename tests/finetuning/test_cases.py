"""Inputs that once gave a wrong result or a traceback, as a whole: `../shared/cases`."""

import json
import subprocess
import sys

import pytest

import keras_unrolled as ku
from keras_unrolled import cli, data, models
from tests.conftest import ROOT

SCRIPT = ROOT.parent / "shared" / "cases" / "make_cases.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not SCRIPT.is_file():
        pytest.skip(f"needs {SCRIPT}")
    folder = tmp_path_factory.mktemp("cases") / "cases"
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A small net: what goes wrong with data does so before the network sees them."""
    model = models.resnet(8, dataset="cifar", labels=list(data.load_sample().names))
    folder = tmp_path_factory.mktemp("preset") / "small"
    ku.save_preset(model, folder)
    return folder


def call(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 else out, err


def finetune(capsys, preset, data, out):
    options = ["--epochs", "1", "--head-only", "--json"]
    return call(capsys, "finetune", preset, "--data", data, "--out", out, *options)


@pytest.mark.parametrize(
    ("name", "classes", "held"),
    [
        *(
            (f"layouts/{pair}", 2, 8)
            for pair in ("train_valid", "training_validation", "Train_Val")
        ),
        *((f"layouts/{pair}", 2, 8) for pair in ("Train_Test", "train_dev", "train_eval")),
        ("layouts/three_way", 2, 16),
        ("layouts/flat_test", 2, 4),
        ("suffixes", 3, 6),
        ("hidden", 2, 4),
        ("names/dollar", 2, 4),
        ("names/dollar_maths", 2, 4),
        ("names/cjk", 2, 4),
        *((f"csv/{table}.csv", 2, 4) for table in ("spaces", "semicolons", "capitals", "utf16")),
        ("csv/backslashes.csv", 2, 4),
        ("csv/tabs.tsv", 2, 4),
    ],
)
def test_data_are_fine_tuned_on(cases, preset, capsys, tmp_path, name, classes, held):
    code, result, err = finetune(capsys, preset, cases / name, tmp_path / "out")
    assert code == 0, err
    assert (len(result["classes"]), result["n"]) == (classes, held)
    assert result.get("test", {}).get("n") == (16 if name == "layouts/three_way" else None)
    assert (tmp_path / "out" / "confusion.png").is_file()
    assert not [note for note in result["notes"] if "could not be written" in note]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty_class", "without images: frog"),
        ("names/latin1", "UTF-8"),
        ("csv/blank_lines.csv", "Line 20"),
    ],
)
def test_data_are_rejected_before_the_training(cases, preset, capsys, tmp_path, name, message):
    code, _, err = finetune(capsys, preset, cases / name, tmp_path / "out")
    assert code == 2
    assert message in err
    assert list(tmp_path.iterdir()) == []


def assert_same_answers(found, expected):
    """The place in a batch may change the last digits, depending on the processor."""
    assert [row["label"] for row in found] == [row["label"] for row in expected]
    probabilities = [row["probability"] for row in expected]
    assert [row["probability"] for row in found] == pytest.approx(probabilities, rel=1e-6)


def test_pictures_have_the_scores_of_what_they_show(cases, capsys):
    def scores(*names):
        code, rows, err = call(capsys, "predict", "resnet_bn_cifar10", *names, "--json")
        assert code == 0, err
        return [row["predictions"] for row in rows]

    deep, exif = cases / "deep_pixels", cases / "exif"
    expected, *others = scores(*(deep / f for f in ("grey8.png", "grey16.png", "grey16.tif")))
    for other in others:
        assert_same_answers(other, expected)
    expected, other = scores(exif / "plain.jpg", exif / "nan.jpg")
    assert_same_answers(other, expected)
    for name in ("grey12_in_16.png", "int32.tif", "float01.tif"):
        code, _, err = call(capsys, "predict", "resnet_bn_cifar10", deep / name)
        assert code == 2
        assert "save it with 8 bits" in err
