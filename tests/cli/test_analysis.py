import argparse
import inspect
import json

import pytest

import keras_unrolled as ku
from keras_unrolled import cli, models
from tests.data.pictures import fill
from tests.models.test_character_lm import TEXT, TINY
from tests.reporting.nets import LABELS, make_model, write_pictures


def call(capsys, *arguments):
    code = cli.main(["analyze", *(str(a) for a in arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Folders of a small network, a plain one, and a language model."""
    root = tmp_path_factory.mktemp("presets")
    ku.save_preset(make_model("residual"), root / "net")
    ku.save_preset(make_model("plain", seed=1), root / "plain")
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    ku.save_preset(models.character_lm(tokenizer=tokenizer, **TINY), root / "lm")
    return root


@pytest.fixture
def pictures(tmp_path):
    return fill(tmp_path / "pictures", LABELS, count=4)


def test_defaults_of_the_command_are_those_of_the_function():
    commands = argparse.ArgumentParser().add_subparsers()
    cli.analysis.add(commands)
    chosen = vars(commands.choices["analyze"].parse_args(["net", "--out", "report"]))
    parameters = inspect.signature(ku.analyze).parameters
    options = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    assert {name: chosen[name] for name in options} == options


def test_analyze_writes_tables_figures_and_a_page(capsys, presets, pictures, tmp_path):
    out = tmp_path / "report"
    arguments = [presets / "net", "--dataset", pictures, "--out", out, "--json"]
    code, text, err = call(
        capsys, *arguments, "--only", "lesion", "estimation_error", "--control", presets / "plain"
    )
    assert code == 0, err
    result = json.loads(text)
    assert (result["preset"], result["n"]) == (str(presets / "net"), 16)
    assert result["measured"] == ["estimation_error", "lesion"]
    assert {path.name for path in out.iterdir()} == {
        *("lesion.csv", "estimation_error.csv", "report.html", "report.json", "figures")
    }
    assert "observing blocks" in err  # progress, which is not among the figures
    assert "other schedules, statistics" in err
    assert "observing the control" in err


@pytest.mark.slow
def test_summary_has_a_verdict_for_each_experiment(capsys, presets, pictures, tmp_path):
    out = tmp_path / "report"
    arguments = [presets / "net", "--data-dir", pictures, "--out", out, "--recalibrate", 0]
    code, text, _ = call(capsys, *arguments, "--limit", 8, "--only", "parallel", "cka")
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith(f"{presets / 'net'}: 8 of {pictures}")
    assert any(line == "cka: neither (the iterative view)" for line in lines)
    assert lines[-1].endswith(str(out / "report.html"))


@pytest.mark.slow
def test_pictures_without_labels_and_texts_are_analyzed(capsys, presets, tmp_path):
    place = write_pictures(tmp_path / "flat", 5)
    code, text, _ = call(
        capsys, presets / "net", "--data-dir", place, "--out", tmp_path / "a", "--only", "geometry"
    )
    assert code == 0
    assert "note: the pictures have no labels" in text
    (tmp_path / "test.txt").write_text(TEXT)
    code, text, _ = call(
        capsys, presets / "lm", "--data-dir", tmp_path, "--out", tmp_path / "b", "--limit", 10
    )
    assert code == 0
    assert "not measured: lesion, shuffle, repeat" in text
    assert "(its blocks lead to no class scores" in text
    assert (tmp_path / "b" / "gate_stats_histogram.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net", "--only", "lesoin"], "Did you mean 'lesion'"),
        (["net", "--only", "optimal_gate"], "the network has no free gates"),
        (["net", "--limit", "0"], "Expected `--limit` to be a whole number from 1"),
        (["net", "--recalibrate", "-1"], "Expected `--recalibrate`"),
        (["net", "--probes", "5"], "Expected data with a training part"),
        (["net", "--control", "lm"], "Expected a control for the same kind of data"),
        (["net", "--control", "nothing"], "which is none of them"),
        (["resnet_bn_cifar11"], "Did you mean 'resnet_bn_cifar10'"),
        (["lm"], "Expected --data-dir, the folder of the text"),
        (["lm", "--dataset", "sample"], "Received: --dataset"),
        (["lm", "--skip-broken"], "Received: --skip-broken"),
    ],
)
def test_bad_input_ends_with_code_2_and_leaves_nothing(
    capsys, presets, pictures, tmp_path, arguments, message
):
    arguments = [str(presets / a) if a in ("net", "lm") else a for a in arguments]
    if arguments[0] == str(presets / "net"):
        arguments += ["--dataset", str(pictures)]
    code, out, err = call(capsys, *arguments, "--out", tmp_path / "report")
    assert (code, out) == (2, "")
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_data_that_do_not_fit_end_with_code_2(capsys, presets, tmp_path):
    broken = write_pictures(tmp_path / "broken", 2)
    (broken / "00.png").write_bytes(b"x")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.tex").write_text("x")
    for dataset, out, message in (
        (broken, "new", "pass --skip-broken"),
        (tmp_path / "missing", "new", "Expected"),
        (broken, "report", "Found something else at"),
    ):
        code, _, err = call(
            capsys, presets / "net", "--dataset", dataset, "--out", tmp_path / out, "--overwrite"
        )
        assert code == 2
        assert message in err
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "report" / "thesis.tex").exists()


@pytest.mark.slow
def test_preset_finds_its_data_set_and_training_images(capsys, tfds_dir, tmp_path):
    arguments = ["resnet_bn_cifar10", "--data-dir", tfds_dir, "--limit", 60, "--recalibrate", 100]
    out = tmp_path / "report"
    code, text, err = call(capsys, *arguments, "--out", out, "--only", "lesion", "--json")
    assert code == 0, err
    assert json.loads(text)["split"] == "test[:60]"
    summary = json.loads((out / "report.json").read_text())
    used = summary["settings"]["batch statistics recalibrated on"]
    assert used == "100 training images (train[:100])"
