"""The command line: figures on standard output, one clear message for bad input."""

import csv
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import cli, data, models
from tests.cli.calling import call
from tests.data.pictures import fill
from tests.nets import randomize


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A small preset with the classes of CIFAR-10."""
    model = models.highway(8, dataset="cifar", labels=list(data.load_sample().names))
    randomize(model)
    folder = tmp_path_factory.mktemp("cli") / "small"
    ku.save_preset(model, folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures of each of two classes that differ in brightness."""
    root = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 150)):
        (root / name).mkdir(parents=True)
        for i in range(12):
            image = rng.integers(low, low + 100, (20, 24, 3)).astype("uint8")
            Image.fromarray(image).save(root / name / f"{i:02d}.png")
    return root


def test_list_gives_names_origins_and_parameters(capsys):
    code, out, _ = call(capsys, "list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {"resnet_bn_cifar10", "highway_bn_cifar10"} <= {row["name"] for row in rows}
    assert all(row["parameters"] > 0 for row in rows)
    assert {row["origin"] for row in rows} == {"trained", "regated", "recipe only"}
    table = call(capsys, "list", "highway*")[1]
    assert "280,506" in table
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"^highway_bn_cifar10 .* installed$", table, re.M)
    assert re.search(r"^highway_bn_imagenet .* 80\.38%\* +source$", table, re.M)


def test_show_prints_a_summary_of_the_record(capsys, preset):
    assert json.loads(call(capsys, "show", preset, "--json")[1])["name"] == "small"
    code, out, _ = call(capsys, "show", preset)
    assert code == 0
    assert "origin      trained" in out
    assert "sha256" not in out
    assert "sha256" in call(capsys, "show", preset, "--all")[1]


def test_evaluate_gives_the_fraction_of_right_answers(capsys, preset):
    code, out, err = call(capsys, "evaluate", preset, "--limit", 300, "--json")
    assert code == 0
    found = json.loads(out)
    sample = data.load_sample()
    scores = ku.from_preset(preset).predict(sample.images[:300], verbose=0)
    expected = float(np.mean(scores.argmax(-1) == sample.labels[:300]))
    assert found["accuracy"] == expected
    assert (found["dataset"], found["n"]) == ("cifar10", 300)
    assert "batches" in err  # progress is not among the figures


@pytest.mark.slow
def test_evaluate_on_cifar10(capsys, preset, tfds_dir):
    arguments = ["--dataset", "cifar10", "--data-dir", tfds_dir, "--limit", 100, "--json"]
    code, out, _ = call(capsys, "evaluate", preset, *arguments)
    assert code == 0
    assert json.loads(out) | {"accuracy": 0} == {
        "preset": str(preset),
        "dataset": "cifar10",
        "split": "test[:100]",
        "n": 100,
        "accuracy": 0,
    }


@pytest.mark.slow
def test_compare_counts_images_that_only_one_preset_has_right(capsys, preset):
    found = json.loads(
        call(capsys, "compare", "highway_bn_cifar10", preset, "--limit", 200, "--json")[1]
    )
    sample = data.load_sample().part("test", 0, 200)
    right = [
        ku.from_preset(p).predict(sample.images, verbose=0).argmax(-1) == sample.labels
        for p in ("highway_bn_cifar10", preset)
    ]
    assert found["accuracies"] == [r.mean() for r in right]
    assert found["only_first"] == (right[0] & ~right[1]).sum()
    assert found["only_second"] == (right[1] & ~right[0]).sum()
    assert found["n"] == 200
    assert found["p"] < 1e-6
    same = json.loads(call(capsys, "compare", preset, preset, "--limit", 50, "--json")[1])
    assert (same["difference"], same["p"]) == (0, 1)


def test_predict_names_the_best_classes(capsys, preset, pictures):
    files = sorted((pictures / "dark").iterdir())[:2]
    code, out, _ = call(capsys, "predict", preset, *files, "--top", 3, "--json")
    assert code == 0
    rows = json.loads(out)
    assert [row["file"] for row in rows] == [str(f) for f in files]
    probabilities = [p["probability"] for p in rows[0]["predictions"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)


@pytest.mark.slow
def test_finetuned_preset_gives_the_same_scores_in_a_new_process(
    capsys, preset, pictures, tmp_path
):
    out_folder = tmp_path / "tuned"
    arguments = ["--data", pictures, "--out", out_folder, "--epochs", 6, "--json"]
    code, out, err = call(capsys, "finetune", preset, *arguments)
    assert code == 0, err
    found = json.loads(out)
    assert found["classes"] == ["dark", "light"]
    assert found["accuracy"] > 0.8
    assert found["n"] == 4
    rows = (out_folder / "held_out.csv").read_text().splitlines()
    assert len(rows) == 5
    # A new process predicts what the one that trained did, to the last bit.
    files = [row.split(",")[0] for row in rows[1:]]
    command = [sys.executable, "-m", "keras_unrolled", "predict", str(out_folder), "--json"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=True)
    for row, said in zip(rows[1:], json.loads(done.stdout), strict=True):
        _, _, predicted, probability = row.split(",")
        best = said["predictions"][0]
        assert (best["label"], best["probability"]) == (predicted, float(probability))
    with Image.open(out_folder / "curves.png") as curves:
        assert curves.size[0] > 400
    assert len((out_folder / "history.csv").read_text().splitlines()) == 7
    assert [phase["epochs"] for phase in found["phases"]] == [2, 4]
    assert any((out_folder / "tensorboard" / "head").iterdir())
    record = ku.load_record(out_folder)
    assert record.training["base"] == found["base"] == "small"
    assert record.metrics[0]["value"] == found["accuracy"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    # The new preset scores its own folder, too.
    assert call(capsys, "evaluate", out_folder, "--dataset", pictures)[0] == 0


def test_unknown_arguments_are_rejected(capsys):
    for arguments in (["list", "--color"], ["list", "a", "b"], ["predict", "x", "--color", "y"]):
        with pytest.raises(SystemExit) as error:
            cli.main(arguments)
        assert error.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.slow
def test_head_only_leaves_the_backbone_unchanged(capsys, preset, pictures, tmp_path):
    arguments = ["--data", pictures, "--out", tmp_path / "tuned", "--epochs", 1, "--head-only"]
    assert call(capsys, "finetune", preset, *arguments)[0] == 0
    old, new = ku.from_preset(preset), ku.from_preset(tmp_path / "tuned")
    for a, b in zip(old.backbone.weights, new.backbone.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def bad_inputs(preset, pictures, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    single = tmp_path / "single"
    (single / "cat").mkdir(parents=True)
    (pictures / "dark" / "00.png").rename(single / "cat" / "00.png")
    broken = tmp_path / "broken"
    for name in ("a", "b"):
        (broken / name).mkdir(parents=True)
        for i in range(2):
            (broken / name / f"{i}.png").write_bytes(b"\x89PNG not really")
    out = tmp_path / "out"
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("mine")
    return {
        "a typo": (["show", "resnet_bn_cifar1"], "Did you mean 'resnet_bn_cifar10'"),
        "no preset": (["evaluate", empty], r"task\.json"),
        "no file": (["predict", preset, tmp_path / "no.png"], "Found none at"),
        "no image": (["predict", preset, taken / "letter.txt"], "does not"),
        "no data": (
            ["evaluate", preset, "--dataset", "cifar10", "--data-dir", empty],
            "download_and_prepare",
        ),
        "no folder": (["finetune", preset, "--data", tmp_path / "x", "--out", out], "no folder at"),
        "no images": (["finetune", preset, "--data", empty, "--out", out], "Found no image"),
        "one class": (["finetune", preset, "--data", single, "--out", out], "one class only"),
        "not decodable": (["finetune", preset, "--data", broken, "--out", out], "does not"),
        "out is taken": (
            ["finetune", preset, "--data", pictures, "--out", taken],
            "something else",
        ),
        "no epochs": (
            ["finetune", preset, "--data", pictures, "--out", out, "--epochs", "0"],
            "Expected `epochs`",
        ),
        "other classes": (["evaluate", preset, "--dataset", pictures], "others in the data: dark"),
        "no limit": (["evaluate", preset, "--limit", "0"], "--limit"),
        "no class folders": (
            ["finetune", preset, "--data", pictures / "light", "--out", out],
            "12 images in no class folder",
        ),
        "out within the data": (
            ["finetune", preset, "--data", pictures, "--out", pictures / "new"],
            "outside of the data",
        ),
        "out below a file": (
            ["finetune", preset, "--data", pictures, "--out", taken / "letter.txt" / "new"],
            "letter.txt is a file",
        ),
        "a language model": (
            ["finetune", "highway_small_ptb", "--data", pictures, "--out", out],
            "Expected a classifier",
        ),
        "data directory of a folder": (
            ["finetune", preset, "--data", pictures, "--data-dir", empty, "--out", out],
            "data_dir",
        ),
        "rate of a head only": (
            [
                *("finetune", preset, "--data", pictures, "--out", out),
                *("--head-only", "--learning-rate", "0.1"),
            ],
            "learning_rate",
        ),
        "no match": (["list", "resnet_bn_cifar1"], "Did you mean 'resnet_bn_cifar10'"),
        "two tasks": (["compare", preset, "highway_small_ptb"], "the same task"),
    }


CASES = [
    "a typo",
    "no preset",
    "no file",
    "no image",
    "no data",
    "no folder",
    "no images",
    "one class",
    "not decodable",
    "out is taken",
    "no epochs",
    "other classes",
    "no limit",
    "no class folders",
    "out within the data",
    "out below a file",
    "a language model",
    "data directory of a folder",
    "rate of a head only",
    "no match",
    "two tasks",
]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gives_one_message_and_code_2(case, capsys, preset, pictures, tmp_path):
    arguments, message = bad_inputs(preset, pictures, tmp_path)[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("keras-unrolled")]
    assert len(said) == 1
    assert "Expected" in said[0]
    assert "Traceback" not in err
    assert re.search(message, said[0]), said
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written


def test_program_exits_with_code_2_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "keras_unrolled", "evaluate", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("keras-unrolled evaluate: Expected")


def test_closed_pipe_is_no_error():
    command = f"{sys.executable} -m keras_unrolled show resnet_bn_cifar10 --json | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


REJECTED = {
    "split of images": (["evaluate", "highway_bn_cifar10", "--split", "train"], "--split"),
    "batch size of images": (
        ["evaluate", "highway_bn_cifar10", "--batch-size", "2"],
        "--batch-size",
    ),
    "data set of a text": (
        ["evaluate", "highway_small_ptb", "--dataset", "cifar10", "--data-dir", "x"],
        "--dataset",
    ),
    "text without a folder": (["evaluate", "highway_small_ptb"], "Expected --data-dir"),
    "words of images": (["predict", "highway_bn_cifar10", "x.png", "--words", "3"], "--words"),
    "neither": (["predict", "highway_bn_cifar10"], "Received neither"),
    "top without probabilities": (
        ["generate", "highway_small_ptb", "--prompt", "the", "--top", "3"],
        "--top",
    ),
    "seed of greedy": (
        ["generate", "highway_small_ptb", "--prompt", "a", "--sampler", "greedy", "--seed", "1"],
        "--seed",
    ),
    "images for a language model": (
        ["predict", "highway_small_ptb", __file__],
        "keras-unrolled generate",
    ),
    "prompt for a classifier": (
        ["generate", "highway_bn_cifar10", "--prompt", "the"],
        "keras-unrolled predict",
    ),
    "data directory of the sample": (
        ["evaluate", "highway_bn_cifar10", "--data-dir", "x"],
        "effect on the bundled sample (--dataset cifar10 reads TFDS). Received: --data-dir",
    ),
    "data directory of a comparison": (
        ["compare", "highway_bn_cifar10", "resnet_bn_cifar10", "--data-dir", "x"],
        "--data-dir",
    ),
    "what nothing is pruned by": (
        ["analyze", "highway_bn_cifar10", "--out", "x", "--prune-by", "lesion"],
        "--prune-by",
    ),
    "gating for timm": (
        ["convert", "resnet_bn_cifar10", "--out", "x", "--layout", "timm", "--gating", "full"],
        "--gating",
    ),
    "head and stages": (
        ["finetune", "x", "--data", "x", "--out", "y", "--head-only", "--stages", "1"],
        "either head_only or stages",
    ),
    "one trial": (["finetune", "x", "--data", "x", "--out", "y", "--try", "1"], "Expected `--try`"),
    "no time for trials": (
        ["finetune", "x", "--data", "x", "--out", "y", "--try", "3", "--try-minutes", "0"],
        "Expected `try_minutes`",
    ),
    "time without trials": (
        ["finetune", "x", "--data", "x", "--out", "y", "--try-minutes", "1"],
        "Add --try 3",
    ),
    "rate that is found and given": (
        ["finetune", "x", "--data", "x", "--out", "y", "--find-lr", "--learning-rate", "0.1"],
        "either find_lr or learning_rate",
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_option_without_effect_is_rejected_before_anything_is_loaded(case, capsys, monkeypatch):
    from keras_unrolled.presets import loading

    monkeypatch.setattr(loading, "from_preset", None)
    arguments, message = REJECTED[case]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(("backend", "message"), [("foo", "Received: 'foo'"), ("torch", "pip")])
def test_backend_that_cannot_be_loaded_is_rejected(backend, message):
    if backend == "torch" and importlib.util.find_spec("torch"):
        pytest.skip("torch is installed")
    done = subprocess.run(
        [sys.executable, "-m", "keras_unrolled", "verify", "resnet_bn_cifar10"],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_sample_is_for_networks_with_its_classes(capsys, tmp_path):
    model = models.highway(8, dataset="cifar", num_classes=2, labels=["ant", "bee"])
    ku.save_preset(model, tmp_path / "other")
    code, _, err = call(capsys, "evaluate", tmp_path / "other")
    assert code == 2
    assert "ant, bee" in err
    assert "--dataset" in err


def test_stopped_command_has_the_exit_code_of_its_signal(capsys, monkeypatch):
    from keras_unrolled.engine import Stopped
    from keras_unrolled.finetuning import run

    for given, expected in ((130, 130), (0, 143)):

        def stop(*args, given=given, **options):
            raise Stopped("stopped at step 3", given)

        monkeypatch.setattr(run, "finetune", stop)
        code, out, err = call(capsys, "finetune", "x", "--data", "y", "--out", "z")
        assert (code, out) == (expected, "")
        assert "stopped at step 3" in err


@pytest.mark.slow
def test_predict_reads_folders_and_patterns(capsys, preset, pictures, tmp_path):
    expected = [str(path) for path in sorted((pictures / "dark").glob("*.png"))]
    (pictures / "dark" / "notes.txt").write_text("no image")
    rows = json.loads(call(capsys, "predict", preset, pictures, "--json")[1])
    assert [row["file"] for row in rows[:12]] == expected
    assert len(rows) == 24
    for argument in (pictures / "dark", f"{pictures}/dark/*"):
        rows = json.loads(call(capsys, "predict", preset, argument, "--json")[1])
        assert [row["file"] for row in rows] == expected
    (tmp_path / "empty").mkdir()
    for argument in (tmp_path / "empty", tmp_path / "*.png"):
        code, _, err = call(capsys, "predict", preset, argument)
        assert code == 2
        assert str(argument) in err


@pytest.mark.slow
def test_predict_leaves_out_what_is_no_picture_of_the_user(capsys, preset, pictures, tmp_path):
    folder = tmp_path / "photos [1]"
    shutil.copytree(pictures / "dark", folder / "dark")
    shutil.copytree(pictures / "dark", folder / "dark" / ".ipynb_checkpoints")
    shutil.copytree(pictures / "dark", folder / "__MACOSX")
    (folder / "tuned").mkdir()
    shutil.copy(folder / "dark" / "00.png", folder / "tuned" / "curves.png")
    (folder / "tuned" / "record.json").write_text("{}")
    (folder / "linked").symlink_to(pictures / "light")
    (folder / "dark" / "x.heic").write_bytes(b"")
    (folder / "gone.png").symlink_to("nowhere.png")
    names = sorted(p.name for p in (pictures / "dark").glob("*.png"))
    for argument, folders in ((folder, ["dark", "linked"]), (f"{folder}/d*", ["dark"])):
        code, out, err = call(capsys, "predict", preset, argument, "--json")
        found = [Path(row["file"]).relative_to(folder).as_posix() for row in json.loads(out)]
        assert (code, found) == (0, [f"{f}/{name}" for f in folders for name in names])
        assert "1 .heic" in err
    assert "2 files in" in call(capsys, "predict", preset, folder)[2]


@pytest.mark.slow
def test_predict_answers_for_the_files_that_decode(capsys, preset, pictures):
    (pictures / "dark" / "03.png").write_bytes(b"nothing")
    code, out, err = call(capsys, "predict", preset, pictures / "dark", "--json")
    rows = json.loads(out)
    assert (code, len(rows)) == (2, 12)
    assert [i for i, row in enumerate(rows) if "error" in row] == [3]
    assert "03.png does not decode" in err
    assert err.strip().endswith("Fix these files or leave them out.")


def test_predict_prints_a_table(capsys, preset, pictures):
    (pictures / "dark" / "01.png").write_bytes(b"nothing")
    code, out, _ = call(capsys, "predict", preset, pictures / "dark", "--csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, len(rows)) == (2, 2 * 11 + 1)
    assert [row["rank"] for row in rows[:4]] == ["1", "2", "", "1"]
    assert rows[2]["file"].endswith("01.png")
    assert "does not decode" in rows[2]["error"]
    assert float(rows[0]["probability"]) >= float(rows[1]["probability"])


@pytest.mark.slow
def test_output_that_cannot_be_written_is_reported():
    command = [sys.executable, "-m", "keras_unrolled", "list"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        both = subprocess.run(command, stdout=full, stderr=full)
    assert done.returncode == both.returncode == 2
    assert "Expected to write the result" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["show", "verify", "evaluate"])
def test_name_of_any_length_and_kind_is_rejected(command, capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "record.json")
    for name in ("x" * 5_000, "a/" * 3_000, tmp_path / "pipe", tmp_path / "folder", "/dev/null"):
        code, out, err = call(capsys, command, name)
        assert (code, out) == (2, ""), (name, err)


def test_file_names_that_are_no_text_are_shown(capsys, preset, tmp_path):
    place = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Image.new("RGB", (8, 8)).save(os.fsdecode(place))
    code, out, _ = call(capsys, "predict", preset, tmp_path)
    assert code == 0
    assert "caf" in out


@pytest.mark.slow
def test_evaluate_leaves_broken_images_out_on_request(capsys, preset, tmp_path):
    names = data.load_sample().names
    fill(tmp_path / "some", names, 2)
    (tmp_path / "some" / names[0] / "1.png").write_bytes(b"nothing")
    code, _, err = call(capsys, "evaluate", preset, "--dataset", tmp_path / "some")
    assert code == 2
    assert "1 of 20 do not" in err
    arguments = ["--dataset", tmp_path / "some", "--skip-broken", "--json"]
    result = json.loads(call(capsys, "evaluate", preset, *arguments)[1])
    assert result["n"] == 19
    assert "left out" in result["notes"][0]
    result = json.loads(call(capsys, "compare", preset, preset, *arguments)[1])
    assert (result["n"], len(result["notes"])) == (19, 1)
    assert "note: " in call(capsys, "compare", preset, preset, *arguments[:-1])[1]


def test_fault_of_the_program_exits_with_code_1(capsys, monkeypatch):
    from keras_unrolled.presets import resolve

    def fail(preset):
        raise KeyError("surprise")

    monkeypatch.setattr(resolve, "load_record", fail)
    code, out, err = call(capsys, "show", "resnet_bn_cifar10")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert "KERAS_UNROLLED_DEBUG=1" in err
    monkeypatch.setenv("KERAS_UNROLLED_DEBUG", "1")
    assert "Traceback" in call(capsys, "show", "resnet_bn_cifar10")[2]


@pytest.mark.parametrize("command", ["list", "show", "evaluate", "predict", "generate", "finetune"])
def test_help_has_examples_and_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    out = capsys.readouterr().out
    help_text, examples = out.split("examples:")
    assert f"keras-unrolled {command}" in examples
    assert max(map(len, help_text.splitlines())) <= 80
