"""What a Hub may answer while a preset is published: every fault is reported, none is a traceback."""

import pytest
from huggingface_hub import constants

import keras_unrolled as ku
from keras_unrolled import InputError, paths
from keras_unrolled.presets import publishing
from tests.hub_server import running_hub

# What the Hub's client asks of httpx when it uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PLACES = {  # of a request, in the order in which they come
    "create the repository": ("POST", "/api/repos/create"),
    "ask for the repository": ("GET", "/api/models/ada/new"),
    "check the card": ("POST", "/api/validate-yaml"),
    "announce the files": ("POST", "/preupload/"),
    "announce the large files": ("POST", "/objects/batch"),
    "send a large file": ("PUT", "/objects/"),
    "commit": ("POST", "/commit/"),
    "list the commit": ("GET", "/tree/"),
    "ask for a file": ("HEAD", "/resolve/"),
}
ANSWERS = {
    "a page": lambda handler: handler.answer(200, b"<html>log in</html>", Content_Type="text/html"),
    "a list": lambda handler: handler.answer(200, []),
    "null": lambda handler: handler.answer(200, None),
    "an object": lambda handler: handler.answer(200, {}),
    "nothing": lambda handler: handler.answer(204),
    "too large": lambda handler: handler.refuse(413, "", "too large"),
}


@pytest.fixture
def server(monkeypatch):
    # The preset itself is not what these tests are about.
    monkeypatch.setattr(publishing, "_verify_in_a_new_process", lambda folder: None)
    with running_hub() as server:
        server.handle_error = lambda *_: None  # a client that hangs up
        settings = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        yield server


def publish(**options):
    folder = paths.zoo() / "checkpoints" / "highway_bn_cifar10"
    return ku.upload_preset("hf://ada/new", folder, token="token-of-ada", **options)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("place", PLACES)
def test_strange_answers_are_reported(server, place, answer):
    method, part = PLACES[place]
    faults = []

    def fault(handler, path):
        if handler.command != method or part not in path:
            return False
        faults.append(path)
        ANSWERS[answer](handler)
        return True

    server.fault = fault
    try:
        sent = publish()
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        is_stored = place in ("list the commit", "ask for a file")
        expected = "was published, in commit" if is_stored else "Expected the Hub to accept ada/new"
        assert (
            expected in message or "came back different" in message or "Expected ada/new" in message
        )
    else:  # what the client can do without
        assert (place, answer) in {
            ("check the card", "an object"),
            ("create the repository", "too large"),
        }, sent
    assert faults


def test_dry_run_does_without_an_answer(server):
    server.fault = lambda handler, path: ANSWERS["a page"](handler) or True
    assert publish(dry_run=True, private=True)["private"] is True


def test_token_that_cannot_be_sent_is_rejected(server):
    with pytest.raises(InputError, match="Expected a token of letters"):
        ku.upload_preset("hf://ada/new", "highway_bn_cifar10", token="secret\n")
    assert server.requests == []
