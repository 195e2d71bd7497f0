"""Addresses of repositories: what is understood, what is refused by its form, and hints."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli
from keras_unrolled.presets import hub, verification
from tests.presets.hostile import copy


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "hf://",
            "hf://name",
            "hf://a/b/c",
            "hf://a/b@",
            "hf://a b/c",
            "hf://../..",
            "hf://a/..",
            "hf:///a/b",
        ),
        *(
            "hf://a/b--c",
            "hf://a/.b",
            "hf://a/b-",
            "hf://a/b.git",
            "hf://a/b\0",
            "hf://a/b\n",
            "hf://a/\x1bb",
        ),
        *("hf://ä/b", "hf://a\\b/c", "hf://a/b?x=1", f"hf://a/{'b' * 97}", "hf://" + "a" * 5_000),
        *(
            "hf://a/b@../x",
            "hf://a/b@x/../y",
            "hf://a/b@/x",
            "hf://a/b@x/",
            "hf://a/b@x\n",
            "hf://a/b@x y",
        ),
        *(
            "hf://a/b@-x",
            "hf://a/b@x.lock",
            "hf://a/b@.x",
            f"hf://a/b@{'x' * 201}",
            "https://hf.co/a",
        ),
        *("https://huggingface.co/datasets/a/b", "https://huggingface.co/a/b/blob/main/task.json"),
        *("https://huggingface.co/a/b/tree/", "https://huggingface.co/a/b/tree/..%2F..%2Fx"),
    ],
    ids=lambda uri: repr(uri[:40]),
)
def test_invalid_address_is_rejected(uri):
    with pytest.raises(InputError, match="hf://org/name@revision") as error:
        hub.parse(uri)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("revision", ["../x", "x\0", "x" * 201, 7, ["main"]])
def test_invalid_revision_is_rejected(revision):
    with pytest.raises(InputError, match="Expected a branch, tag or commit"):
        hub.parse("hf://a/b", revision)


def test_address_of_a_page_is_understood():
    for page in ("huggingface.co/a/b", "www.huggingface.co/a/b/", "hf.co/a/b?library=keras#files"):
        assert hub.is_address(f"https://{page}")
        assert hub.parse(f"https://{page}") == ("a/b", None)
    assert hub.parse("https://huggingface.co/a/b/tree/v1/") == ("a/b", "v1")
    assert hub.parse("https://huggingface.co/a/b/tree/refs%2Fpr%2F1") == ("a/b", "refs/pr/1")
    assert not hub.is_address("https://example.org/a/b")
    assert not hub.is_address("a/b")


def test_name_without_its_scheme_gets_a_hint():
    assert "write hf://org/name." in hub.suggest("org/name")
    assert "write hf://org/name@v1." in hub.suggest("huggingface.co/org/name@v1")
    for text in ("highway_bn_cifar10", "a/b/c", "../x", "/tmp/x", "a/" + "b" * 5_000):
        assert hub.suggest(text) == ""


def test_address_names_one_revision():
    assert hub.parse("hf://a/b@v1") == ("a/b", "v1")
    assert hub.parse("hf://a/b", "v1") == hub.parse("hf://a/b@v1", "v1") == ("a/b", "v1")
    with pytest.raises(InputError, match="Expected one revision"):
        hub.parse("hf://a/b@v1", "v2")
    with pytest.raises(InputError, match="for a repository only"):
        ku.from_preset("resnet_bn_cifar10", revision="v2")


@pytest.fixture
def flowers(small_hub, saved_presets):
    """The repository ada/flowers with a preset; gives the server."""
    folder = saved_presets / "images"
    small_hub.add("ada/flowers", {p.name: p.read_bytes() for p in folder.iterdir()})
    return small_hub


@pytest.mark.slow
def test_preset_is_loaded_by_the_address_of_its_page(flowers, saved_presets):
    sha = flowers.repositories["ada/flowers"].commits[-1][0]
    expected = ku.from_preset(saved_presets / "images").get_weights()
    page = "https://huggingface.co/ada/flowers"
    for address in (page, f"{page}/tree/{sha}", f"{page}/?x=1"):
        model = ku.from_preset(address)
        assert all(map(np.array_equal, model.get_weights(), expected))
    assert ku.load_record(f"{page}/tree/main").name == "small"
    assert verification.verify(page, revision=sha)["preset"] == "small"
    with pytest.raises(InputError, match="ada/flowers at revision 'v9'"):
        ku.from_preset(f"{page}/tree/v9")
    with pytest.raises(InputError, match="Expected one revision"):
        ku.from_preset(f"{page}/tree/v9", revision="v8")


@pytest.mark.slow
def test_source_of_a_page_is_recorded_as_the_repository(flowers, tmp_path_factory):
    sha = flowers.repositories["ada/flowers"].commits[-1][0]
    sources = []
    for number, address in enumerate(
        ("https://hf.co/ada/flowers/tree/main", "hf://ada/flowers@main")
    ):
        model = ku.from_preset(address, labels=["x", "y"])
        sources.append(ku.save_preset(model, tmp_path_factory.mktemp("new") / str(number)).source)
    assert sources[0] == sources[1]
    assert (sources[0]["repository"], sources[0]["revision"]) == ("ada/flowers", sha)


def test_commands_take_the_address_of_a_page(flowers, capsys):
    assert cli.main(["verify", "https://huggingface.co/ada/flowers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["preset"] == "small"
    assert cli.main(["show", "ada/flowers"]) == 2
    assert "write hf://ada/flowers." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("org/name", "write hf://org/name."),
        ("timm/resnet50.a1_in1k", "write hf://timm/resnet50.a1_in1k."),
        ("hf.co/org/name@v1", "write hf://org/name@v1."),
        (Path("hf://org/name"), "write hf://org/name."),
        ("folder/weights.h5", "Found no such file or folder."),
        ("highway_bn_cifar11", "Did you mean 'highway_bn_cifar10'"),
        ("~" + "x" * 300, "begins with the home folder of an unknown user. Write ./~xxx"),
        ("x" * 5_000, "(5,000 characters), which is none of them. Check the spelling."),
        ("a/" * 3_000, "(6,000 characters), which is none of them. Check the spelling."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_name_of_nothing_gets_the_hint_that_helps(name, hint):
    for load in (ku.from_preset, ku.load_record, verification.verify):
        with pytest.raises(InputError, match=re.escape(hint)) as error:
            load(name)
        assert len(str(error.value)) < 500


def test_folder_of_the_form_of_a_repository_is_loaded(saved_presets, tmp_path, monkeypatch):
    copy(saved_presets / "images", tmp_path / "org/name", forget=False)
    monkeypatch.chdir(tmp_path)
    assert ku.from_preset("org/name").labels == ["a", "b", "c"]
