"""Presets from a Hub: the unmodified client against a server of our own on 127.0.0.1."""

import json
import shutil
import time

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import models
from tests.hub_server import running_hub, sha256
from tests.nets import randomize
from tests.presets.hub_client import NOWHERE, Client


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Two versions of a preset as files, images, and the second version's scores."""
    root = tmp_path_factory.mktemp("hub")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    np.save(root / "images.npy", images)
    versions = []
    for seed in (1, 2):
        model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
        randomize(model, seed)
        ku.save_preset(model, root / f"v{seed}", name="small")
        files = {p.name: p.read_bytes() for p in (root / f"v{seed}").iterdir()}
        versions.append((files, model.predict(images, verbose=0)))
    return root / "images.npy", versions


@pytest.fixture
def server():
    with running_hub() as server:
        yield server


@pytest.fixture
def client(tmp_path, preset, server):
    return Client(tmp_path, preset[0], server.url)


@pytest.mark.slow
def test_preset_comes_from_the_hub_and_then_from_the_cache(client, server, preset):
    _, ((old, old_scores), (new, new_scores)) = preset
    first = server.add("ada/small", old)
    server.add("ada/small", {**new, "assets/words.json": b"{}"})  # folders do no harm
    server.repositories["ada/small"].tags["v1"] = first
    np.testing.assert_array_equal(client.load(), new_scores)
    np.testing.assert_array_equal(client.load(revision="v1"), old_scores)
    np.testing.assert_array_equal(client.load("hf://ada/small@v1"), old_scores)
    np.testing.assert_array_equal(client.load(f"hf://ada/small@{first}"), old_scores)
    # Neither the network nor the server is needed again.
    np.testing.assert_array_equal(client.load(endpoint=NOWHERE), new_scores)
    before = len(server.requests)
    np.testing.assert_array_equal(client.load(local_files_only=True), new_scores)
    np.testing.assert_array_equal(client.load(offline=True), new_scores)
    assert len(server.requests) == before


@pytest.mark.slow
def test_private_repository_opens_with_its_owners_token_only(client, server, preset):
    _, (_, (files, scores)) = preset
    server.add("ada/small", files, private=True)
    for token in (None, "token-of-bob"):
        error = client.load(token=token)
        assert "this token may not read" in error
    np.testing.assert_array_equal(client.load(token="token-of-ada"), scores)


@pytest.mark.slow
def test_missing_cache_offline_is_reported(client):
    for options in ({"endpoint": NOWHERE}, {"offline": True}, {"local_files_only": True}):
        error = client.load(**options)
        assert "the Hub cannot be reached" in error


@pytest.mark.slow
def test_missing_repository_or_revision_is_named(client, server, preset):
    server.add("ada/small", preset[1][0][0])
    assert "Expected a repository ada/smal on the Hub" in client.load("hf://ada/smal")
    assert "no such branch, tag or commit" in client.load(revision="v9")


@pytest.mark.slow
def test_wrong_bytes_of_the_right_length_are_rejected_and_downloaded_again(client, server, preset):
    _, ((files, scores), _) = preset
    server.add("ada/small", files)

    def flip(name):
        # A large file comes from where its hash says, a small one from the repository.
        place = sha256(files[name]) if name.endswith(".h5") else f"/{name}"
        wrong = bytearray(files[name])
        wrong[len(wrong) // 2] ^= 1

        def fault(handler, path):
            if handler.command != "GET" or not path.endswith(place):
                return False
            server.fault = None
            handler.send_part(bytes(wrong), ETag='"x"', X_Repo_Commit="0" * 40)
            return True

        return fault

    for name in ("model.weights.h5", "record.json"):
        server.fault = flip(name)
        error = client.load()
        assert f"Expected {name} with the hash" in error
        np.testing.assert_array_equal(client.load(), scores)
        shutil.rmtree(client.home / "hf")


@pytest.mark.slow
def test_body_that_is_cut_short_is_resumed_or_rejected(client, server, preset):
    _, ((files, scores), _) = preset
    server.add("ada/small", files)

    def cut(handler, path):
        if handler.command == "GET" and path.endswith(sha256(files["model.weights.h5"])):
            server.fault = None
            data = server.objects[path.rsplit("/", 1)[1]]
            handler.answer(200, data[: len(data) // 2], Content_Length=len(data))
            handler.close_connection = True
            return True
        return False

    server.fault = cut
    first = client.load()
    if isinstance(first, str):
        assert "Try again later" in first
        first = client.load()
    np.testing.assert_array_equal(first, scores)


@pytest.mark.slow
def test_server_that_fails_is_reported_to(client, server, preset):
    server.add("ada/small", preset[1][0][0])

    def fail(handler, path):
        handler.refuse(500, "InternalServerError", "out of order")
        return True

    server.fault = fail
    error = client.load()
    assert "Try again later" in error or "cannot be reached" in error


@pytest.mark.slow
def test_commit_that_lands_meanwhile_does_not_mix_versions(client, server, preset):
    _, ((old, old_scores), (new, new_scores)) = preset
    server.add("ada/small", old)

    def land(handler, path):
        if handler.command == "GET" and "/resolve/" in path:
            server.fault = None
            server.add("ada/small", new)
        return False

    server.fault = land
    np.testing.assert_array_equal(client.load(), old_scores)
    np.testing.assert_array_equal(client.load(), new_scores)


def slowly(handler, path):
    """Sends a large file in ten parts with pauses between them."""
    if handler.command != "GET" or "/objects/" not in path:
        return False
    data = handler.server.objects[path.rsplit("/", 1)[1]]
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    step = len(data) // 10 + 1
    for start in range(0, len(data), step):
        handler.wfile.write(data[start : start + step])
        time.sleep(0.1)
    return True


@pytest.mark.slow
def test_slow_server_is_waited_for(client, server, preset):
    _, ((files, scores), _) = preset
    server.add("ada/small", files)
    server.fault = slowly
    np.testing.assert_array_equal(client.load(), scores)


@pytest.mark.slow
def test_two_processes_may_download_at_once(client, server, preset):
    _, ((files, scores), _) = preset
    server.add("ada/small", files)
    server.fault = slowly
    processes = [client.start(out=out) for out in ("first", "second")]
    for process, out in zip(processes, ("first", "second")):
        np.testing.assert_array_equal(client.finish(process, out), scores)
    # The client's lock lets one fetch and the other wait.
    objects = [
        path for command, path in server.requests if command == "GET" and "/objects/" in path
    ]
    assert len(objects) == len(set(objects))


@pytest.mark.slow
def test_empty_repository_is_no_preset(client, server):
    server.add("ada/small", {"README.md": b"soon"})
    assert "Expected a preset in ada/small" in client.load()


class TestNamedPresets:
    """Names whose files are neither in the package nor in the cache."""

    @pytest.fixture
    def changes(self, preset):
        """The record of a name as it stands once its preset has been published."""
        files = preset[1][0][0]
        record = json.loads(files["record.json"])
        return {"plain_bn_imagenet": {**record, "origin": "trained", "repository": "ada/small"}}

    @pytest.mark.slow
    def test_a_name_leads_to_the_commit_of_its_record(self, client, server, preset, changes):
        _, ((old, old_scores), (new, _)) = preset
        revision = server.add("ada/small", old)
        server.add("ada/small", new)  # nobody has told the record yet
        changes["plain_bn_imagenet"]["revision"] = revision
        found = client.load("plain_bn_imagenet", changes=changes)
        np.testing.assert_array_equal(found, old_scores)
        # A commit that is there needs no Hub, not even to ask.
        before = len(server.requests)
        found = client.load("plain_bn_imagenet", changes=changes)
        np.testing.assert_array_equal(found, old_scores)
        assert len(server.requests) == before

    @pytest.mark.slow
    def test_another_size_than_the_records_is_not_downloaded(self, client, server, preset, changes):
        _, ((old, _), _) = preset
        larger = {**old, "model.weights.h5": old["model.weights.h5"] + bytes(10**6)}
        changes["plain_bn_imagenet"]["revision"] = server.add("ada/small", larger)
        error = client.load("plain_bn_imagenet", changes=changes)
        assert "Nothing was downloaded" in error
        assert not [path for _, path in server.requests if "/objects/" in path]

    @pytest.mark.slow
    def test_other_content_of_the_same_size_is_refused(self, client, server, preset, changes):
        _, (_, (new, _)) = preset
        changes["plain_bn_imagenet"]["revision"] = server.add("ada/small", new)
        sizes = {k: len(new[k]) for k in changes["plain_bn_imagenet"]["files"]}
        for name, facts in changes["plain_bn_imagenet"]["files"].items():
            facts["size"] = sizes[name]
        error = client.load("plain_bn_imagenet", changes=changes)
        assert "to have the sha256" in error

    @pytest.mark.slow
    def test_offline_says_so(self, client):
        error = client.load("highway_bn_imagenet", endpoint=NOWHERE)
        assert "Expected timm/resnet50.a1_in1k" in error
        assert "the Hub cannot be reached" in error
