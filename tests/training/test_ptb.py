"""The program that trains language models, on a small text: run, killed and resumed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from keras_unrolled.engine import checkpoint
from tests.engine.processes import HANG, KILLS
from tests.engine.test_jax import jax_env
from training import ptb, recipes
from training.recipes.ptb import RECIPES

PROGRAM = Path(__file__).parents[2] / "training" / "ptb.py"
SMALL = ["network.units=16", "network.num_filters=[2,2,2,2,2,2]", "network.character_dim=4"]
SMALL += ["network.dropout=0", "network.initial_range=0.2", "batch_size=10", "length=7"]


def test_every_language_preset_has_a_recipe_and_its_command():
    names = {record.name for record in ku.list_presets(dataset="ptb")}
    assert names == RECIPES["kim"].keys()
    for name in names:
        command = recipes.command(name)
        assert ku.load_record(name).training.get("command", command) == command


def test_variational_recipe_drops_the_same_units_at_all_words_and_keeps_the_size():
    recipe = RECIPES["variational"]["highway_variational_small_ptb"]
    model = models.character_lm(**{k: v for k, v in recipe.network.items() if k != "builder"})
    assert model.count_params() == ku.load_record("highway_small_ptb").parameters
    backbone = model.backbone
    assert backbone.variational
    assert {lstm.recurrent_dropout for lstm in backbone.lstms} == {model.dropout} == {0.3}
    assert recipes.command("highway_variational_small_ptb") == (
        "python training/ptb.py --preset highway_variational_small_ptb --data-dir DIR --workdir DIR"
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Made-up sentences that a bigram would learn, in three files."""
    folder, rng = tmp_path_factory.mktemp("texts"), random.Random(0)
    nouns, verbs = ["cat", "dog", "company", "multibillion-dollar"], ["sat", "saw", "rose N"]
    for split, lines in (("train", 1500), ("valid", 40), ("test", 40)):
        sentences = [
            f"the {rng.choice(nouns)} {rng.choice(verbs)} the <unk> {rng.choice(nouns)}"
            for _ in range(lines)
        ]
        (folder / f"{split}.txt").write_text("\n".join(sentences) + "\n")
    return folder


def start(texts, workdir, *settings, **env):
    command = [sys.executable, str(PROGRAM), "--preset", "highway_small_ptb", "--workdir"]
    command += [str(workdir), "--data-dir", str(texts), "--checkpoint-every", "30"]
    command += ["--set", "epochs=3", *SMALL, *settings]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **env}, **pipes)


def finish(process):
    out, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors[-3000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("env", [{}, jax_env()], ids=["tensorflow", "jax"])
def test_killed_run_ends_with_the_weights_of_an_unbroken_one(texts, tmp_path, env):
    settings = ["network.variational=true", "network.recurrent_dropout=0.3"]

    def begin(workdir):
        return start(texts, tmp_path / workdir, *settings, **env)

    said = finish(begin("whole"))
    rng, seen = np.random.default_rng(0), 0
    for _ in range(1 if env else KILLS):
        process = begin("broken")
        while process.poll() is None and checkpoint.list_steps(tmp_path / "broken")[:1] in (
            [],
            [seen],
        ):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        seen = checkpoint.list_steps(tmp_path / "broken")[0]
    assert finish(begin("broken")).splitlines()[:2] == said.splitlines()[:2]
    steps = checkpoint.list_steps(tmp_path / "whole")
    assert steps == checkpoint.list_steps(tmp_path / "broken")
    one, other = (checkpoint.read(tmp_path / n, steps[0])[1] for n in ("whole", "broken"))
    assert any("_cell" in name for name in one)  # the carried state is among it
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
    record = ku.load_record(tmp_path / "broken" / "preset")
    assert record.task == "text-generation"
    assert {row["dataset"] for row in record.metrics} == {texts.name}  # and not the treebank
    assert "float16" in record.training["weights"]
    scores = {row["split"]: row["value"] for row in record.metrics}
    assert scores.keys() == {"valid", "test"}
    # Eleven words that are not equally likely, and less so the more is learned.
    assert 1.2 < scores["test"] < 9


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ("valid.txt", (), "Found none"),
        (None, ("batch_size=5000",), "Expected a text of at least"),
        (None, ("network.gating=couple",), "Did you mean 'coupled'"),
        (None, ("accumulate=2",), "Expected accumulate=1"),
    ],
)
def test_bad_input_exits_with_code_2(texts, tmp_path, capsys, change, settings, message):
    folder = tmp_path / "texts"
    folder.mkdir()
    for path in texts.iterdir():
        if path.name != change:
            os.symlink(path, folder / path.name)
    arguments = ["--preset", "plain_small_ptb", "--data-dir", str(folder), "--workdir"]
    arguments += [str(tmp_path / "run"), "--set", "epochs=1", *settings]
    assert ptb.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "preset").exists()
