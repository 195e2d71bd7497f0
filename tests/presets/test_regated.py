"""The ImageNet presets: from a checkpoint of timm, verified and converted."""

import json

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, cli, convert, files, models
from keras_unrolled.presets import record as records
from keras_unrolled.presets import regated
from tests.convert.test_timm import write_checkpoint
from tests.hub_server import running_hub, sha256
from tests.presets.hub_client import NOWHERE, Client

PUBLISHED = {  # timm's results of resnet50.a1_in1k at 224 pixels
    "imagenet2012": 0.8038,
    "imagenet2012_real": 0.85712,
    "imagenet_v2": 0.6847,
    "imagenet_a": 0.09973,
    "imagenet_r": 0.40417,
    "imagenet_sketch": 0.29641,
}
SOURCE = ku.load_record("highway_bn_imagenet").source
SMALL = "timm/resnet18.a1_in1k"
GATINGS = {
    "resnet_bn_imagenet": "residual",
    "highway_bn_imagenet": "coupled",
    "highway_full_bn_imagenet": "full",
    "highway_c_only_bn_imagenet": "c_only",
    "highway_t_only_bn_imagenet": "t_only",
}
RECIPES = [
    "highway_hrelu_bn_imagenet",
    "resnet_nobn_imagenet",
    "highway_nobn_imagenet",
    "plain_bn_imagenet",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A ResNet-50 in timm's layout, images, and what the network says of them."""
    root = tmp_path_factory.mktemp("regated")
    folder = write_checkpoint(root / "resnet50", "resnet50")
    images = np.random.default_rng(3).integers(0, 256, (2, 260, 300, 3)).astype("uint8")
    np.save(root / "images.npy", images)
    model = convert.from_timm(folder)
    return folder, root / "images.npy", model.predict(images, verbose=0)


@pytest.fixture
def server(checkpoint):
    with running_hub() as server:
        files = {path.name: path.read_bytes() for path in checkpoint[0].iterdir()}
        files["README.md"] = b"a card"
        server.add(SOURCE["repository"], files, sha=SOURCE["revision"])
        yield server


@pytest.fixture
def changes(checkpoint):
    """Records that expect the test's weights in place of the published ones."""
    seen = {"model.safetensors": files.fingerprint(checkpoint[0] / "model.safetensors")}
    return {name: {"source": {**SOURCE, "files": seen}} for name in GATINGS}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "resnet18"
    write_checkpoint(folder, "resnet18")
    return folder


@pytest.fixture
def small_server(small):
    """A server with a ResNet-18 of which no hash is recorded."""
    with running_hub() as server:
        server.add(SMALL, {path.name: path.read_bytes() for path in small.iterdir()})
        yield server


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.slow
def test_highway_bn_imagenet_is_downloaded_checked_and_converted(
    checkpoint, server, changes, tmp_path
):
    _, images, expected = checkpoint
    client = Client(tmp_path, images, server.url)
    weights = (checkpoint[0] / "model.safetensors").read_bytes()

    def cut(handler, path):  # the connection breaks once in the middle
        if handler.command != "GET" or "/objects/" not in path:
            return False
        server.fault = None
        handler.answer(200, weights[: len(weights) // 2], Content_Length=len(weights))
        handler.close_connection = True
        return True

    server.fault = cut
    first = client.load("highway_bn_imagenet", changes=changes)
    seconds = [client.seconds]
    assert relative(first, expected) < 1e-4
    # The download continued with what had arrived.
    assert [start > 10**7 for _, start in server.ranges] == [True]
    answers = client.model.decode(first, top=1)
    names = models.imagenet_labels()
    assert [best[0][0] for best in answers] == [names[i] for i in expected.argmax(-1)]
    # The second time the Hub is not needed, and the scores are the same to the bit.
    before = len(server.requests)
    again = client.load("highway_bn_imagenet", changes=changes, endpoint=NOWHERE)
    seconds.append(client.seconds)
    np.testing.assert_array_equal(again, first)
    assert len(server.requests) == before
    print(f"highway_bn_imagenet: first {seconds[0]:.1f} s, then {seconds[1]:.1f} s")


@pytest.mark.slow
def test_converted_copy_is_kept_for_verification(checkpoint, server, changes, tmp_path):
    client = Client(tmp_path, checkpoint[1], server.url)
    differences = client.load("highway_bn_imagenet", changes=changes, verify=True)
    assert not isinstance(differences, str), differences
    # It is kept as a preset of its own, with what was seen of the source.
    (kept,) = (tmp_path / "hf" / "assets").rglob("record.json")
    record = records.Record.read(kept)
    assert record.origin == "regated"
    assert record.source["revision"] == SOURCE["revision"]
    weights = (checkpoint[0] / "model.safetensors").read_bytes()
    assert record.source["files"]["model.safetensors"]["sha256"] == sha256(weights)
    assert "config.json" in record.source["files"]
    assert record.metrics == ()
    assert record.network["gating"] == "coupled"
    # A damaged copy is made again.
    damaged = kept.with_name("model.weights.h5")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    again = client.load("highway_bn_imagenet", changes=changes, verify=True, endpoint=NOWHERE)
    np.testing.assert_array_equal(again, differences)
    assert files.fingerprint(damaged) == record.files["model.weights.h5"]


@pytest.mark.slow
def test_weights_other_than_the_published_ones_are_rejected(checkpoint, server, tmp_path):
    client = Client(tmp_path, checkpoint[1], server.url)
    error = client.load("resnet_bn_imagenet")
    assert "Expected model.safetensors of timm/resnet50.a1_in1k to have the 102,469,840" in error
    assert not [path for _, path in server.requests if "/objects/" in path]


@pytest.mark.slow
def test_two_processes_may_convert_the_same_preset_at_once(checkpoint, server, changes, tmp_path):
    client = Client(tmp_path, checkpoint[1], server.url)
    processes = [
        client.start("resnet_bn_imagenet", changes=changes, out=out, verify=True) for out in "ab"
    ]
    for process, out in zip(processes, "ab"):
        assert client.finish(process, out).size
    assert len(list((tmp_path / "hf" / "assets").rglob("record.json"))) == 1
    folders = {path.parent.name for path in (tmp_path / "hf" / "assets").rglob("*.h5")}
    assert folders == {"preset"}  # nothing half-written is left


@pytest.mark.slow
def test_source_without_a_recorded_hash_is_checked_against_the_hub(
    checkpoint, small, small_server, tmp_path
):
    client = Client(tmp_path, checkpoint[1], small_server.url)
    found = client.load(f"hf://{SMALL}", gating="c_only")
    images = np.load(checkpoint[1])
    assert relative(found, convert.from_timm(small).predict(images, verbose=0)) < 1e-4
    blob = next((tmp_path / "hf" / "hub").rglob("model.safetensors")).resolve()
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    error = client.load(f"hf://{SMALL}", gating="c_only")
    assert "Expected model.safetensors with the hash" in error


@pytest.mark.slow
def test_file_system_without_links_asks_the_hub_for_hashes(checkpoint, small_server, tmp_path):
    client = Client(tmp_path, checkpoint[1], small_server.url)
    expected = client.load(f"hf://{SMALL}")
    for link in (tmp_path / "hf" / "hub").rglob("snapshots/*/*"):
        blob = link.resolve()
        link.unlink()
        blob.rename(link)
    np.testing.assert_array_equal(client.load(f"hf://{SMALL}"), expected)
    error = client.load(f"hf://{SMALL}", endpoint=NOWHERE)
    assert f"Expected to receive the hashes of {SMALL}" in error
    assert "Check the network and try again" in error
    weights = next((tmp_path / "hf" / "hub").rglob("snapshots/*/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    error = client.load(f"hf://{SMALL}")
    assert "Expected model.safetensors with the hash" in error


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GATINGS, *RECIPES])
def test_every_imagenet_name_builds_without_weights(name):
    record = ku.load_record(name)
    model = ku.from_preset(name, load_weights=False)
    assert (
        model.backbone.gating
        == record.network["gating"]
        == GATINGS.get(name, model.backbone.gating)
    )
    assert model.count_params() > record.parameters or "nobn" in name
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == record.parameters
    assert model.count_macs() == record.macs
    assert model.labels[0] == "tench"
    assert model.preprocessor.image_converter.image_size == (224, 224)
    assert (model.backbone.options["normalization"] is None) == ("nobn" in name)
    assert model.backbone.options["transform_relu"] == ("hrelu" in name)


@pytest.mark.parametrize("name", RECIPES)
def test_untrained_preset_raises_an_error_with_its_training_command(name):
    command = f"python training/imagenet.py --preset {name} --data-dir DIR --workdir DIR"
    with pytest.raises(InputError, match="has not been trained yet") as error:
        ku.from_preset(name)
    assert command in str(error.value)
    assert "load_weights=False" in str(error.value)


def test_records_of_imagenet_presets_claim_no_score_of_their_own():
    for name in GATINGS:
        record = ku.load_record(name)
        assert record.origin == "regated"
        assert record.metrics == ()
        assert "hf://timm/resnet50.a1_in1k" in record.description
        scores = record.source["metrics"]
        assert all("published for the source" in row["origin"] for row in scores)
        assert {row["dataset"]: row["value"] for row in scores} == PUBLISHED
        assert record.find_main_score()["value"] == PUBLISHED["imagenet2012"]
    for name in RECIPES:
        record = ku.load_record(name)
        assert (record.origin, record.metrics, record.files) == ("recipe only", (), {})


@pytest.mark.slow
def test_folder_of_timm_loads_with_any_gating_and_any_head(small):
    images = np.random.default_rng(3).integers(0, 256, (2, 64, 80, 3)).astype("uint8")
    expected = convert.from_timm(small).predict(images, verbose=0)
    for gating in (None, "residual", "full"):
        model = ku.from_preset(small, gating=gating)
        assert model.backbone.gating == gating or gating is None
        assert relative(model.predict(images, verbose=0), expected) < 1e-4
    model = ku.from_preset(small, gating="coupled", labels=["a", "b"])
    assert (model.num_classes, model.labels) == (2, ["a", "b"])
    assert model.predict(images, verbose=0).shape == (2, 2)
    empty = ku.from_preset(small, load_weights=False, dtype="mixed_bfloat16")
    assert empty.backbone.compute_dtype == "bfloat16"
    with pytest.raises(InputError, match="Expected `gating`"):
        ku.from_preset(small, gating="cupled")


@pytest.fixture
def convert_on_disk(capsys):
    """A function from arguments of the command to its code and what it printed."""

    def convert_on_disk(*arguments):
        code = cli.main(["convert", *map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        return code, err if code else out

    return convert_on_disk


@pytest.mark.slow
def test_command_converts_on_disk_and_back_to_timm(small, tmp_path, convert_on_disk):
    images = np.random.default_rng(3).integers(0, 256, (2, 64, 80, 3)).astype("uint8")
    expected = convert.from_timm(small).predict(images, verbose=0)
    code, found = convert_on_disk(small, "--out", tmp_path / "h", "--gating", "coupled")
    assert code == 0, found
    assert json.loads(found)["gating"] == "coupled"
    record = ku.load_record(tmp_path / "h")
    assert (record.origin, record.license) == ("regated", "apache-2.0")
    assert record.source["files"]["model.safetensors"] == files.fingerprint(
        small / "model.safetensors"
    )
    assert record.label_set == "imagenet"
    assert relative(ku.from_preset(tmp_path / "h").predict(images, verbose=0), expected) < 1e-4
    code, found = convert_on_disk(small, "--out", tmp_path / "r", "--layout", "timm")
    assert code == 0, found
    assert (tmp_path / "r" / "model.safetensors").stat().st_size > 4e7
    code, error = convert_on_disk(small, "--out", tmp_path / "h")
    assert code == 2
    assert "Found one at" in error
    code, error = convert_on_disk(tmp_path / "h", "--out", tmp_path / "x", "--layout", "timm")
    assert code == 2
    assert "gating 'residual'" in error
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_converted_preset_reports_scores_as_those_of_its_source(tmp_path):
    regated.convert_preset("resnet_bn_cifar10", tmp_path / "full", gating="full")
    old, new = ku.load_record("resnet_bn_cifar10"), ku.load_record(tmp_path / "full")
    assert new.metrics == ()
    assert new.source["name"] == old.name
    assert new.source["metrics"][0]["value"] == old.score("cifar10")
    assert new.source["files"]["model.weights.h5"] == old.files["model.weights.h5"]
    assert new.network["gating"] == "full"


def test_folded_preset_is_written_for_prediction(tmp_path):
    found = regated.convert_preset("highway_bn_cifar10", tmp_path / "fast", fold=True)
    assert found["gating"] == "coupled"
    record = ku.load_record(tmp_path / "fast")
    assert record.description == (
        "highway_bn_cifar10, converted and folded for prediction without changing the function"
    )
    assert record.network["normalization"] == "folded"
    assert cli.main(["verify", str(tmp_path / "fast")]) == 0
    with pytest.raises(InputError, match=r"--fold .in Python: fold=True.. Leave it out"):
        regated.convert_preset("resnet_bn_cifar10", tmp_path / "x", layout="timm", fold=True)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_file_of_keras_applications_loads_as_a_preset(tmp_path):
    theirs = keras.applications.ResNet50(weights=None, classes=3)
    theirs.save(tmp_path / "net.keras")
    model = ku.from_preset(tmp_path / "net.keras", gating="t_only")
    x = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    # Its first convolution reads BGR.
    expected = np.asarray(theirs(x[..., ::-1], training=False))
    np.testing.assert_allclose(np.asarray(model(x, training=False)), expected, atol=1e-5)
