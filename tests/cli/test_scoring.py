"""The report of `evaluate` on the command line."""

import json

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import data, models
from tests.cli.calling import call
from tests.nets import randomize


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A small preset with the classes of CIFAR-10, as if trained on its training images."""
    model = models.highway(8, dataset="cifar", labels=list(data.load_sample().names))
    randomize(model)
    folder = tmp_path_factory.mktemp("cli") / "small"
    ku.save_preset(model, folder, training={"dataset": "cifar10", "split": "train"})
    return folder


@pytest.mark.slow
def test_report_is_written_and_its_figures_printed(capsys, preset, tmp_path):
    out = tmp_path / "report"
    arguments = ["evaluate", preset, "--limit", 60, "--report", out]
    code, text, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    assert "batches" in err  # progress is not among the figures
    found = json.loads(text)
    sample = data.load_sample()
    scores = ku.from_preset(preset).predict(sample.images[:60], verbose=0)
    assert found["accuracy"] == np.mean(scores.argmax(-1) == sample.labels[:60])
    assert (found["preset"], found["in_sample"]) == (str(preset), "no")
    assert (out / "report.html").is_file()
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert "--overwrite" in err


@pytest.mark.slow
def test_text_names_every_figure(capsys, preset, tmp_path, tfds_dir):
    arguments = ["--limit", 60, "--report", tmp_path / "report", "--seed", 2]
    code, text, err = call(
        *(capsys, "evaluate", preset, *arguments),
        *("--calibrate-on", "cifar10:train[:1%]", "--data-dir", tfds_dir),
    )
    assert code == 0, err
    for words in (
        "60 images",
        "95%:",
        "mirror images",
        "Brier score",
        "chosen on",
        "may be wrong",
    ):
        assert words in text
    assert "chosen on cifar10:train[:1%]\n" in text
    assert "the network was trained on cifar10:train[:1%], unless it was held out" in text
    assert f"{tmp_path / 'report' / 'report.html'}" in text


REJECTED = {
    "overwriting nothing": (["highway_bn_cifar10", "--overwrite"], "--overwrite"),
    "seed of nothing": (["highway_bn_cifar10", "--seed", "1"], "--seed"),
    "calibration of nothing": (
        ["highway_bn_cifar10", "--calibrate-on", "cifar10:train"],
        "effect on scores without a report (--report FOLDER). Received: --calibrate-on",
    ),
    "temperature of a text": (
        ["highway_small_ptb", "--data-dir", "x", "--report", "out", "--calibrate-on", "y"],
        "effect on a language model. Received: --calibrate-on",
    ),
    "negative seed": (["highway_bn_cifar10", "--report", "out", "--seed", "-1"], "--seed"),
    "empty folder": (["highway_bn_cifar10", "--report", ""], "--report"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_options_without_an_effect_are_rejected(capsys, case):
    arguments, message = REJECTED[case]
    code, out, err = call(capsys, "evaluate", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_one_word_is_singular(capsys, tmp_path):
    (tmp_path / "test.txt").write_text("the company said\n")
    arguments = ["evaluate", "highway_small_ptb", "--data-dir", tmp_path, "--limit", 1]
    assert " of 1 word, test\n" in call(capsys, *arguments)[1]
