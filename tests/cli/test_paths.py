"""Paths on the command line: empty ones and addresses are rejected before anything is written."""

import os

import pytest

from keras_unrolled import cli


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each command runs in an empty folder and leaves it so."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["predict", "highway_bn_cifar10", ""], "each image file"),
        (["predict", "", "a.png"], "the preset"),
        (["evaluate", "highway_bn_cifar10", "--dataset", ""], "--dataset"),
        (["evaluate", "highway_bn_cifar10", "--data-dir", " "], "--data-dir"),
        (["compare", "highway_bn_cifar10", ""], "each preset"),
        (["finetune", "highway_bn_cifar10", "--data", "", "--out", "x"], "--data"),
        (["finetune", "highway_bn_cifar10", "--data", "beans", "--out", ""], "--out"),
        (["convert", "highway_bn_cifar10", "--out", ""], "--out"),
        (["analyze", "highway_bn_cifar10", "--out", "x", "--control", ""], "--control"),
        (["publish", "", "hf://me/x"], "the preset"),
        (["demo", "--out", ""], "--out"),
    ],
    ids=lambda value: " ".join(value).strip() if isinstance(value, list) else "",
)
def test_empty_word_is_rejected(capsys, words, shown):
    assert cli.main(words) == 2
    message = f"Expected a path or name for {shown}. Received: '', which is empty. Pass one"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["finetune", "highway_bn_cifar10", "--data", "beans"],
        ["convert", "highway_bn_cifar10"],
        ["convert", "resnet_bn_cifar10", "--layout", "timm"],
        ["analyze", "highway_bn_cifar10"],
        ["demo"],
    ],
    ids=["finetune", "convert", "timm", "analyze", "demo"],
)
def test_address_is_no_folder_to_write(capsys, words):
    assert cli.main([*words, "--out", "hf://me/x"]) == 2
    error = capsys.readouterr().err
    assert "Received an address: hf://me/x" in error
    assert "keras-unrolled publish" in error
