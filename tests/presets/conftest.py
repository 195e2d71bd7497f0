"""A small Hub in this process, for tests of single answers; and small presets to damage."""

import os

import huggingface_hub.constants
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.presets import hub
from tests.hub_server import running_hub
from tests.models.test_character_lm import TEXT, TINY
from tests.nets import randomize

FILES = {
    "task.json": b"{}",
    "record.json": b"{ }",
    "model.weights.h5": os.urandom(50_000),
    "assets/tokenizer/vocabulary.json": b"[  ]",
}
OTHERS = {
    "README.md": b"#",
    "deep/task.json": b"{}",
    "a/b/c.json": b"1",
    "x.json": b"",
    "y.npz": b"",
}


@pytest.fixture(scope="session")
def running_server():
    with running_hub() as server:
        server.handle_error = lambda *_: None  # a client that hangs up
        yield server


@pytest.fixture
def small_hub(running_server, tmp_path, monkeypatch):
    """A server with the repository ada/small; `cache` is a cache deep enough to be left by `..`."""
    server, cache = running_server, tmp_path / "a/b/c/d/hub"
    server.repositories.clear()
    server.requests, server.ranges, server.fault = [], [], None
    server.add("ada/small", {**FILES, **OTHERS})
    settings = {"ENDPOINT": server.url, "HF_HUB_CACHE": str(cache), "HF_HUB_DOWNLOAD_TIMEOUT": 2}
    for name, value in settings.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    server.cache = cache
    yield server
    assert not {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)} - set(cache.parents)


def fetch(**options):
    """The files that are fetched, by name."""
    folder = hub.fetch("hf://ada/small", **options)
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def refusal(server, fault, **options):
    """The message with which a fetch from a server with a fault is refused."""
    server.fault = fault
    with pytest.raises(InputError) as error:
        fetch(**options)
    server.fault = None
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.fixture(scope="session")
def saved_presets(tmp_path_factory):
    """Two presets as bytes: of images and of a language."""
    root = tmp_path_factory.mktemp("hostile")
    images = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
    randomize(images)
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    language = models.character_lm(tokenizer=tokenizer, **TINY)
    for name, model in (("images", images), ("language", language)):
        ku.save_preset(model, root / name, name="small")
    return root
