"""Addresses of repositories: what is understood, what is refused by its form, and hints."""

import pytest

import keras_unrolled as ku
from keras_unrolled import InputError
from keras_unrolled.presets import hub


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
