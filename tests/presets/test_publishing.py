"""Publishing: checked, sent in one commit, and the same again when it is loaded."""

import json
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml
from huggingface_hub import constants

import keras_unrolled as ku
from keras_unrolled import InputError, cli, data, models, paths
from keras_unrolled.files import fingerprint
from keras_unrolled.models.weight_files import read_arrays
from keras_unrolled.presets import card, publishing, verification
from tests.conftest import ROOT
from tests.hub_server import running_hub
from tests.nets import randomize
from tests.presets.hub_client import NOWHERE, Client

# What the Hub's client asks of httpx when it uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

METRIC = {
    "dataset": "cifar10",
    "split": "test",
    "n": 10,
    "metric": "accuracy",
    "value": 0.9,
    "origin": "made up for a test",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("publishing")
    model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
    randomize(model)
    ku.save_preset(model, root / "small", metrics=(METRIC,))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    np.save(root / "images.npy", images)
    return root / "small", root / "images.npy", model.predict(images, verbose=0)


@pytest.fixture
def folder(saved, tmp_path):
    shutil.copytree(saved[0], tmp_path / "small")
    (tmp_path / "small" / "curves.png").write_bytes(b"of no use to others")
    return tmp_path / "small"


@pytest.fixture
def server():
    with running_hub() as server:
        yield server


def publish_elsewhere(server, folder, uri="hf://ada/small"):
    """Publishes in another process, whose environment names the Hub."""
    env = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(folder.parent / "publisher"),
        "HF_TOKEN": "token-of-ada",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "keras_unrolled", "publish", str(folder), uri, "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        return done.returncode, done.stderr
    return 0, json.loads(done.stdout)


@pytest.fixture
def publish(monkeypatch, capsys):
    """A function that publishes in this process, where the client has read its environment.

    The preset is verified in this process, too.
    """
    monkeypatch.setattr(publishing, "_verify_in_a_new_process", verification.verify)

    def publish(server, folder, *arguments, token="token-of-ada", uri="hf://ada/small"):
        settings = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
            "HF_HUB_CACHE": str(folder.parent / "publisher" / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", token)
        code = cli.main(["publish", str(folder), uri, "--json", *arguments])
        out, err = capsys.readouterr()
        return code, err if code else json.loads(out)

    return publish


@pytest.mark.slow
def test_published_preset_is_the_one_that_is_loaded(server, folder, saved, tmp_path):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    # An earlier version left files that this one does not have.
    server.add("ada/small", {"old.weights.h5": b"old", "notes.md": b"the author's"})
    code, found = publish_elsewhere(server, folder)
    assert code == 0, found
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert found["left_out"] == ["curves.png"]
    repository = server.repositories["ada/small"]
    assert len(repository.commits) == 3  # empty, the earlier version, and one more
    sha, files = repository.commits[-1]
    assert sha == found["commit"]
    expected = {*ku.load_record(folder).files, "record.json", "README.md", "notes.md"}
    assert files.keys() == expected | {".eval_results/cifar10.yaml"}
    scores = Client(tmp_path, saved[1], server.url).load_elsewhere()
    assert np.abs(scores - saved[2]).max() == 0.0


@pytest.mark.slow
def test_dry_run_sends_nothing(server, folder, publish):
    code, found = publish(server, folder, "--dry-run", "--private")
    assert code == 0, found
    assert found["private"] is True
    assert {"record.json", "README.md", "model.weights.h5", "golden.npz"} <= found["files"].keys()
    assert "commit" not in found
    assert server.repositories == {}
    assert not [r for r in server.requests if r[0] in ("POST", "PUT")]


@pytest.mark.slow
def test_publishing_without_rights_fails_and_creates_nothing(server, folder, publish):
    code, error = publish(server, folder, token="token-of-bob")
    assert code == 2
    assert "Expected the Hub to accept ada/small" in error
    assert "Traceback" not in error
    assert server.repositories == {}


@pytest.mark.slow
def test_hub_that_cannot_be_reached_is_reported(folder, server, publish):
    server.url = NOWHERE
    code, error = publish(server, folder)
    assert code == 2
    assert "Expected the Hub to accept ada/small" in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_damaged_preset_is_not_sent(server, folder):
    data = bytearray((folder / "model.weights.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.weights.h5").write_bytes(data)
    code, error = publish_elsewhere(server, folder)
    assert code == 2
    assert "to have the sha256" in error
    assert server.requests == []


@pytest.mark.slow
def test_difference_after_publishing_is_reported(server, folder, publish):
    def spoil(handler, path):
        if handler.command == "GET" and "/objects/" in path:
            data = server.objects[path.rsplit("/", 1)[1]]
            handler.send_part(bytes(len(data)), ETag='"x"')
            return True
        return False

    server.fault = spoil
    code, error = publish(server, folder)
    assert code == 2
    assert "came back different" in error


@pytest.mark.slow
def test_commit_that_lands_meanwhile_is_not_overwritten(server, folder, publish):
    server.add("ada/small", {"notes.md": b"the author's"})

    def land(handler, path):
        if "/preupload/" in path:
            server.fault = None
            server.add("ada/small", {"notes.md": b"somebody was quicker"})
        return False

    server.fault = land
    code, error = publish(server, folder)
    assert code == 2
    assert "Another commit was pushed meanwhile" in error
    assert server.repositories["ada/small"].commits[-1][1] == {"notes.md": b"somebody was quicker"}
    code, found = publish(server, folder)
    assert code == 0, found


@pytest.mark.slow
def test_optimizers_state_is_not_sent(server, folder, saved, publish):
    model = ku.from_preset(folder)
    model.fit(np.load(saved[1]), np.array([0, 1, 2]), batch_size=3, verbose=0, shuffle=False)
    ku.save_preset(model, folder, overwrite=True)
    found = read_arrays(folder / "task.weights.h5")
    assert sorted(array.shape for array in found.values()) == [
        [3],
        [64, 3],
    ]  # the dense layer alone
    # One that was written with it is not taken for a preset.
    weights = folder / "task.weights.h5"
    with h5py.File(weights, "r+") as file:
        file["optimizer/vars/0"] = np.zeros(3)
    record = json.loads((folder / "record.json").read_text())
    record["files"]["task.weights.h5"] = fingerprint(weights)
    (folder / "record.json").write_text(json.dumps(record))
    code, error = publish(server, folder)
    assert code == 2
    assert "of other number or shape" in error
    assert server.requests == []


def test_record_that_names_a_stray_file_is_rejected(folder):
    (folder / "passwords.txt").write_text("secret")
    record = json.loads((folder / "record.json").read_text())
    record["files"]["passwords.txt"] = fingerprint(folder / "passwords.txt")
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"Found others: passwords\.txt"):
        publishing.upload_preset("hf://ada/small", folder)


def test_preset_without_weights_is_not_published():
    with pytest.raises(InputError, match="has not been trained yet"):
        publishing.upload_preset("hf://ada/plain", "plain_bn_imagenet")


@pytest.mark.slow
def test_zoo_publish_sends_presets_and_their_names_lead_to_them(server, tmp_path):
    # A zoo of its own: a copy of what the package has, from which the weights then vanish.
    shutil.copytree(paths.zoo(), tmp_path / "zoo" / "zoo")
    env = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "publisher"),
        "HF_TOKEN": "token-of-ada",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    program = (
        "import sys, pathlib; from keras_unrolled import paths; from zoo import publish; "
        "place = pathlib.Path(sys.argv.pop(1)); paths.zoo = lambda: place; sys.exit(publish.main())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "zoo" / "zoo")]
    done = subprocess.run(
        [*command, "resnet_*_cifar10"], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pins = json.loads((tmp_path / "zoo" / "zoo" / "hub.json").read_text())
    trained = [r.name for r in ku.list_presets("resnet_*_cifar10") if r.has_weights]
    assert sorted(pins) == trained
    images = data.load_sample().images[:4]
    np.save(tmp_path / "images.npy", images)
    client = Client(tmp_path, tmp_path / "images.npy", server.url)
    for name, pin in pins.items():
        assert pin["repository"] == f"ada/{name}"
        found = client.load(name, changes={name: pin}, bare=True)
        np.testing.assert_array_equal(found, ku.from_preset(name).predict(images, verbose=0))
    assert [path for _, path in server.requests if "/objects/" in path]
    # Without the source's repository the regated ones fail, and it says which.
    done = subprocess.run(
        [*command, "highway_bn_imagenet"], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "not published: highway_bn_imagenet" in done.stderr


def test_folder_without_a_record_is_rejected(folder):
    (folder / "record.json").unlink()
    with pytest.raises(InputError, match="Expected a complete preset with its record"):
        publishing.upload_preset("hf://ada/small", folder)


def test_card_tells_the_hub_and_people_what_the_record_says(saved):
    record = ku.load_record(saved[0])
    text = card.make_card(record, "ada/small")
    _, header, body = text.split("---\n", 2)
    found = yaml.safe_load(header)
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "keras_unrolled"
    assert found["pipeline_tag"] == "image-classification"
    assert found["datasets"] == ["uoft-cs/cifar10"]
    assert found["metrics"] == ["accuracy"]
    result = found["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == 90.0
    assert 'ku.from_preset("hf://ada/small")' in body
    assert "made up for a test" in body
    rows = yaml.safe_load(card.make_eval_results(record)[".eval_results/cifar10.yaml"])
    assert rows[0]["dataset"]["id"] == "uoft-cs/cifar10"
    assert rows[0]["value"] == 90.0


def test_card_of_a_regated_preset_gives_the_sources_scores_as_the_sources():
    record = ku.load_record("highway_bn_imagenet")
    text = card.make_card(record, "ada/highway")
    _, header, body = text.split("---\n", 2)
    found = yaml.safe_load(header)
    assert found["base_model"] == "timm/resnet50.a1_in1k"
    assert "model-index" not in found
    assert "metrics" not in found
    assert card.make_eval_results(record) == {}
    first = body.strip().splitlines()[2]
    assert first.startswith("Weights of hf://timm/resnet50.a1_in1k, converted from residual")
    assert "80.38% | the source: published for the source" in body


@pytest.mark.slow
def test_repository_of_the_other_visibility_gets_nothing(server, folder, publish):
    server.add("ada/small", {"notes.md": b"the author's"})
    code, error = publish(server, folder, "--private")
    assert code == 2
    assert "Expected ada/small to be private. It exists and is public" in error
    assert server.repositories["ada/small"].commits[-1][1].keys() == {"notes.md"}
    server.repositories["ada/small"].private = True
    code, found = publish(server, folder)
    assert code == 0, found
    assert found["private"] is True
    server.repositories["ada/small"].private = None  # the Hub does not say
    code, error = publish(server, folder)
    assert code == 2
    assert "It exists and is neither" in error


@pytest.mark.slow
def test_dry_run_reports_the_visibility_that_is(server, folder, publish):
    server.add("ada/small", {"notes.md": b"the author's"}, private=True)
    code, found = publish(server, folder, "--dry-run")
    assert (code, found["private"]) == (0, True)
    server.repositories["ada/small"].private = False
    code, error = publish(server, folder, "--dry-run", "--private")
    assert code == 2
    assert "Expected ada/small to be private. It exists and is public" in error
    code, found = publish(server, folder, "--dry-run", "--private", uri="hf://ada/new")
    assert (code, found["private"]) == (0, True)


@pytest.mark.parametrize("private", ["False", 1, "private"])
def test_visibility_is_true_or_false(folder, private):
    with pytest.raises(InputError, match="Expected `private` to be True or False"):
        ku.upload_preset("hf://ada/small", folder, private=private, dry_run=True)
