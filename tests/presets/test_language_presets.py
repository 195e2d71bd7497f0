"""Language models as presets: whole or refused, the same in every process and on every backend."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import h5py
import keras
import keras_hub
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli, data, evaluation, models
from tests.hub_server import running_hub
from tests.models.test_character_lm import TEXT, TINY

STRANGE = TEXT + "the cats sat on a multibillion-dollar mat\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("language")
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    model = models.character_lm(tokenizer=tokenizer, **TINY)
    metric = {"dataset": "ptb", "split": "test", "n": 17, "metric": "perplexity", "value": 12.345}
    record = ku.save_preset(
        model, root / "small", half=True, metrics=({**metric, "origin": "made up for a test"},)
    )
    for split in ("train", "valid", "test"):
        (root / f"{split}.txt").write_text(STRANGE)
    return root, record, model


@pytest.fixture
def folder(saved, tmp_path):
    shutil.copytree(saved[0] / "small", tmp_path / "small")
    return tmp_path / "small"


def words(saved):
    return data.read_words(saved[0], "test")


def test_preset_comes_back_rounded_to_float16_and_no_further(saved):
    root, record, model = saved
    assert record.task == "text-generation"
    assert "assets/tokenizer/vocabulary.json" in record.files
    loaded = ku.from_preset(root / "small")
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        rounded = keras.ops.convert_to_numpy(theirs).astype("float16").astype("float32")
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), rounded)
    with h5py.File(root / "small" / "model.weights.h5") as file:
        kinds = set()
        file.visititems(lambda _, n: kinds.add(n.dtype) if isinstance(n, h5py.Dataset) else None)
    assert kinds == {np.dtype("float16")}
    assert loaded.preprocessor.tokenizer.vocabulary == model.preprocessor.tokenizer.vocabulary


@pytest.mark.slow
def test_keras_hub_reads_it_too(saved):
    peer = keras_hub.models.CausalLM.from_preset(str(saved[0] / "small"))
    ours = ku.from_preset(saved[0] / "small")
    expected = evaluation.perplexity(ours, words(saved))
    assert evaluation.perplexity(peer, words(saved)) == expected
    for model in (peer, ours):
        model.compile(sampler="greedy")
    assert peer.generate("the cat", max_length=9) == ours.generate("the cat", max_length=9)


def evaluate(preset, folder, **env):
    command = [sys.executable, "-m", "keras_unrolled", "evaluate", str(preset), "--json"]
    done = subprocess.run(
        [*command, "--data-dir", str(folder)],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "JAX_PLATFORMS": "cpu", **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_perplexity(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    expected = evaluation.perplexity(ku.from_preset(saved[0] / "small"), words(saved))
    found = evaluate(saved[0] / "small", saved[0], KERAS_BACKEND=backend)
    assert found["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-5)
    assert (found["tokens"], found["unknown"]) == (expected["tokens"], expected["unknown"])


@pytest.mark.slow
def test_published_and_loaded_by_address_it_is_the_same(saved, folder, tmp_path):
    with running_hub() as server:
        env = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "token-of-ada",
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [sys.executable, "-m", "keras_unrolled", "publish", str(folder), "hf://ada/lm"]
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        _, files = server.repositories["ada/lm"].commits[-1]
        assert "assets/tokenizer/vocabulary.json" in files
        text = files["README.md"].decode()
        assert "pipeline_tag: text-generation" in text
        assert "12.35" in text or "12.34" in text
        found = evaluate("hf://ada/lm", saved[0], **{**env, "HF_HOME": str(tmp_path / "other")})
    expected = evaluation.perplexity(ku.from_preset(folder), words(saved))
    assert found["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-6)


@pytest.mark.parametrize("keep_record", [True, False])
def test_vocabulary_of_another_length_is_rejected(folder, keep_record):
    path = folder / "assets" / "tokenizer" / "vocabulary.json"
    facts = json.loads(path.read_text())
    facts["words"].append("zebra")
    path.write_text(json.dumps(facts))
    message = "size|sha256"
    if not keep_record:  # a third party's preset
        (folder / "record.json").unlink()
        (folder / "golden.npz").unlink()
        message = "tokenizer of 11 words, as the network has. Received one of 12"
    with pytest.raises(InputError, match=message):
        ku.from_preset(folder)


def test_vocabulary_that_is_missing_is_reported(folder):
    (folder / "assets" / "tokenizer" / "vocabulary.json").unlink()
    with pytest.raises(InputError, match=r"vocabulary\.json"):
        ku.from_preset(folder)


def test_options_that_a_language_model_lacks_are_rejected(saved):
    for options in ({"gating": "full"}, {"num_classes": 3}, {"labels": ["a", "b"]}):
        with pytest.raises(InputError, match="for a language model"):
            ku.from_preset(saved[0] / "small", **options)
    with pytest.raises(InputError, match=r"at most [\d,]+ weights"):
        models.character_lm(vocabulary_size=10**7)
    model = ku.from_preset("highway_small_ptb", load_weights=False)
    assert model.count_params() == 5_312_515


def call(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    return code, *capsys.readouterr()


@pytest.mark.slow
def test_evaluate_gives_the_perplexity_of_a_text(saved, capsys):
    code, out, _ = call(
        capsys, "evaluate", saved[0] / "small", "--data-dir", saved[0], "--json", "--split", "valid"
    )
    assert code == 0
    expected = evaluation.perplexity(ku.from_preset(saved[0] / "small"), words(saved))
    assert json.loads(out) == {
        "preset": str(saved[0] / "small"),
        "split": "valid",
        **expected,
    }
    assert expected["unknown"] == 3  # cats, a, multibillion-dollar


@pytest.mark.slow
def test_compare_gives_the_ratio_of_two_perplexities(saved, tmp_path, capsys):
    root, _, model = saved
    other = models.character_lm(tokenizer=model.preprocessor.tokenizer, **TINY)
    ku.save_preset(other, tmp_path / "other")
    (tmp_path / "test.txt").write_text(4 * TEXT)
    text = data.read_words(tmp_path, "test")
    arguments = ("compare", root / "small", tmp_path / "other", "--data-dir", tmp_path, "--json")
    code, out, _ = call(capsys, *arguments)
    found = json.loads(out)
    assert code == 0
    expected = [
        evaluation.perplexity(ku.from_preset(folder), text)["perplexity"]
        for folder in (root / "small", tmp_path / "other")
    ]
    assert found["perplexities"] == pytest.approx(expected)
    assert found["ratio"] == pytest.approx(expected[0] / expected[1])
    assert found["low"] < found["ratio"] < found["high"]
    assert found["sentences"] == text.count("<eos>")


def test_presets_of_different_tasks_are_not_compared(saved, tmp_path, capsys):
    root, _, _ = saved
    tokenizer = models.CharacterTokenizer(["<eos>", "<unk>", "the"], "eht")
    ku.save_preset(models.character_lm(tokenizer=tokenizer, **TINY), tmp_path / "three")
    for other, message in (
        ("highway_bn_cifar10", "for the same task"),
        (tmp_path / "three", "3 words"),
    ):
        code, _, err = call(capsys, "compare", root / "small", other, "--data-dir", root)
        assert code == 2
        assert message in err


@pytest.mark.slow
def test_predict_continues_a_prompt_and_reports_unknown_words(saved, capsys):
    arguments = ["predict", saved[0] / "small", "--prompt", "the Zebra sat", "--words", 5]
    code, out, _ = call(capsys, *arguments, "--probabilities", "--top", 2, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["unknown"] == ["Zebra"]
    assert len(found["text"].replace("\n", " <eos> ").split()) <= 5
    assert [row["after"] for row in found["next"]][:4] == ["<eos>", "the", "Zebra", "sat"]
    for row in found["next"]:
        first, second = (n["probability"] for n in row["likeliest"])
        assert 1 >= first >= second > 0
    assert call(capsys, *arguments, "--seed", 1)[1] == call(capsys, *arguments, "--seed", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "small"], "Received neither"),
        (["predict", "small", "a.png", "--prompt", "x"], "Received both"),
        (["predict", "small", "a.png"], "Found none at"),
        (["predict", "resnet_bn_cifar10", "--prompt", "x"], "is a classifier"),
        (["predict", "small", "--prompt", "x", "--sampler", "dice"], "--sampler"),
        (["evaluate", "small", "--data-dir", "nowhere"], "Found none. Give --data-dir"),
        (["evaluate", "small", "--split", "exam"], "--split"),
    ],
)
def test_bad_input_exits_with_code_2(saved, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(saved[0])
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
