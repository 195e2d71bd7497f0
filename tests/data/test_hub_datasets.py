"""Data sets on a Hub: a server in this process, and the unmodified client's settings."""

import io
import json
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled.data import hub_layout
from tests import hub_faults
from tests.cli.calling import call
from tests.hub_server import running_hub

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ADDRESS = "hf-dataset://ada/pets"
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = ["dog", "cat", "emu"]  # not in their alphabetical order
CLASSES = {"names": NAMES, "_type": "ClassLabel"}
FEATURES = {"image": {"_type": "Image"}, "label": CLASSES}


def encode(pixels, format="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def draw(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 7, 3), "uint8")


def make_table(images, labels, features=FEATURES, names=("image", "label"), **more):
    """The bytes of a Parquet file, as the library `datasets` writes one."""
    cells = [{"bytes": encode(x), "path": f"{i}.png"} for i, x in enumerate(images)]
    columns = {names[0]: pa.array(cells, IMAGE), names[1]: pa.array(labels)}
    table = pa.table({**columns, **more})
    if features is not None:
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=2)
    return file.getvalue()


@pytest.fixture(scope="module")
def server():
    with running_hub() as hub:
        hub.handle_error = lambda *_: None
        yield hub


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """A server with the data set ada/pets: ten images to train on, in two files, and three to test on."""
    server.repositories.clear()
    server.requests, server.fault = [], None
    images, labels = draw(10), np.arange(10) % 3
    files = {
        "data/train-00000-of-00002.parquet": make_table(images[:6], labels[:6]),
        "data/train-00001-of-00002.parquet": make_table(images[6:], labels[6:]),
        "data/test-00000-of-00001.parquet": make_table(draw(3, 1), [2, 1, 0]),
        "README.md": b"---\nlicense: mit\n---\n# Pets\n",
        "pets.py": b"raise SystemExit('no script is run')",
    }
    server.add("ada/pets", files)
    server.files, server.images, server.labels = files, images, labels
    settings = {
        "ENDPOINT": server.url,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_ASSETS_CACHE": str(tmp_path / "assets"),
        "HF_HUB_DOWNLOAD_TIMEOUT": 2,
    }
    for name, value in settings.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    return server


def add(hub, **tables):
    """A repository ada/other with a file for each split."""
    hub.repositories.pop("ada/other", None)
    hub.add("ada/other", {f"{split}.parquet": content for split, content in tables.items()})
    return "hf-dataset://ada/other"


def test_images_labels_and_names_are_those_of_the_files(hub):
    examples = data.load(ADDRESS)
    assert examples.names == ("dog", "cat", "emu")
    assert examples.labels.tolist() == hub.labels.tolist()
    np.testing.assert_array_equal(np.stack(examples.images[:]), hub.images)
    assert examples.split == "hf-dataset://ada/pets:train"
    downloads = [path for _, path in hub.requests if "/resolve/" in path]
    assert not any("test-00000" in path or "pets.py" in path for path in downloads)
    assert examples.images.shown()[1] == "hf-dataset://ada/pets/0000/00000001.png"


@pytest.mark.parametrize("address", [f"{ADDRESS}:test", ADDRESS, "hf-dataset:/ada/pets"])
def test_split_is_that_of_the_address_or_the_first_one_wanted(hub, address):
    examples = data.load(address, split=["validation", "test"])
    assert examples.labels.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(np.stack(examples.images[:]), draw(3, 1))


def test_revision_is_that_of_the_address(hub):
    old = hub.repositories["ada/pets"].commits[-1][0]
    hub.repositories["ada/pets"].tags["v1"] = old
    hub.add("ada/pets", {"train.parquet": make_table(draw(2, 5), [0, 1])})
    assert len(data.load(ADDRESS)) == 2
    for revision in ("v1", old):
        assert len(data.load(f"{ADDRESS}@{revision}:train")) == 10


def test_pictures_are_downloaded_once_and_read_without_a_connection(hub, monkeypatch):
    first = data.load(ADDRESS)
    hub.requests.clear()
    again = data.load(ADDRESS)
    assert not any("/resolve/" in path for _, path in hub.requests)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    offline = data.load(ADDRESS)
    assert first.images.paths == again.images.paths == offline.images.paths
    with pytest.raises(InputError, match="The connection failed"):
        data.load(f"{ADDRESS}:test")
    first.images.paths[4].write_bytes(b"")  # as after a full disk
    with pytest.raises(InputError, match="The connection failed"):
        data.load(ADDRESS)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    np.testing.assert_array_equal(np.stack(data.load(ADDRESS).images[:]), hub.images)


def test_parts_are_divided_for_fine_tuning(hub):
    parts = data.load_parts(ADDRESS, 0.4, 0)
    assert len(parts.train) + len(parts.held) == 10
    assert set(parts.examples.labels[parts.held]) == {0, 1, 2}


def test_changed_file_is_not_taken(hub):
    content = hub.files["data/test-00000-of-00001.parquet"]
    wrong = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    for oid, stored in list(hub.objects.items()):
        if stored == content:
            hub.objects[oid] = wrong
    with pytest.raises(InputError, match="with the hash"):
        data.load(f"{ADDRESS}:test")


REFUSED = {
    "no such id": (
        "hf-dataset://ada/dogs",
        "Expected a repository the data set ada/dogs|Found none",
    ),
    "no such revision": (f"{ADDRESS}@v9", "no such branch, tag or commit"),
    "no such split": (f"{ADDRESS}:dev", "Expected a split of .*: train, test|test, train"),
    "no such column": (f"{ADDRESS},label=race", "Expected `label` to be one of 'image', 'label'"),
    "no such option": (f"{ADDRESS},labels=race", "Received an unknown one: labels="),
    "no such configuration": (f"{ADDRESS},config=big", "Expected `config` to be one of 'default'"),
    "image as label": (f"{ADDRESS},label=image", "Expected a column of class numbers or names"),
    "label as image": (f"{ADDRESS},image=label", "Expected a column of images"),
    "one name": ("hf-dataset://pets", "as hf-dataset://org/name"),
    "climbs": ("hf-dataset://ada/..", "as hf-dataset://org/name"),
    "option twice": (f"{ADDRESS},label=label,label=image", "each option of hf-dataset:// once"),
    "empty option": (f"{ADDRESS},label=", "as hf-dataset://org/name"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_there_is_refused(hub, kind):
    address, message = REFUSED[kind]
    with pytest.raises(InputError, match=message):
        data.load(address)
    assert not list_pictures()


def list_pictures():
    """What was written."""
    return list(Path(huggingface_hub.constants.HF_ASSETS_CACHE).rglob("*.*"))


def test_gated_data_set_is_named_as_such(hub):
    hub.fault = hub_faults.always(403, X_Error_Code="GatedRepo")
    with pytest.raises(InputError, match="gives it on request only"):
        data.load(ADDRESS)


def test_private_data_set_needs_a_token(hub, monkeypatch):
    hub.repositories["ada/pets"].private = True
    with pytest.raises(InputError, match=r"Found none, or a private one|refuses a request without"):
        data.load(ADDRESS)
    monkeypatch.setenv("HF_TOKEN", "token-of-ada")
    assert len(data.load(ADDRESS)) == 10


def test_missing_and_ambiguous_columns_are_named(hub):
    images = draw(4)
    features = {"photo": {"_type": "Image"}, "fine": CLASSES, "coarse": CLASSES}
    two = make_table(images, [0, 1, 2, 0], features, ("photo", "fine"), coarse=[1, 1, 0, 0])
    address = add(hub, train=two)
    with pytest.raises(InputError, match=r"Found fine, coarse\. Name one: .*,label=fine"):
        data.load(address)
    assert data.load(f"{address},label=coarse").labels.tolist() == [1, 1, 0, 0]
    features = {"a": {"_type": "Image"}, "b": {"_type": "Image"}, "label": CLASSES}
    cells = pa.array([{"bytes": encode(x), "path": None} for x in images[::-1]], IMAGE)
    address = add(hub, train=make_table(images, [0, 1, 2, 0], features, ("a", "label"), b=cells))
    with pytest.raises(InputError, match=r"Found a, b\. Name one: .*,image=a"):
        data.load(address)
    np.testing.assert_array_equal(np.stack(data.load(f"{address},image=b").images[:]), images[::-1])
    table = pa.table({"text": ["a", "b"], "n": [1.5, 2.5]})
    file = io.BytesIO()
    pq.write_table(table, file)
    with pytest.raises(InputError, match=r"Expected a column of images.*columns are text, n"):
        data.load(add(hub, train=file.getvalue()))
    features = {"image": {"_type": "Image"}, "size": {"_type": "Value"}}
    with pytest.raises(InputError, match=r"Expected a column of labels.*,label=COLUMN"):
        data.load(add(hub, train=make_table(images, [0, 1, 2, 0], features, ("image", "size"))))


def test_labels_that_are_names_are_numbered_in_alphabetical_order(hub):
    address = add(hub, train=make_table(draw(4), ["pug", "ant", "pug", "bee"], None))
    examples = data.load(address)
    assert examples.names == ("ant", "bee", "pug")
    assert examples.labels.tolist() == [2, 0, 2, 1]


def test_rows_without_a_label_or_an_image_are_refused(hub):
    with pytest.raises(InputError, match=r"label for each image.*2 of 3 have none"):
        data.load(add(hub, train=make_table(draw(3), [-1, None, 1])))
    with pytest.raises(InputError, match=r"labels from 0 to 2.*Found 0 to 7"):
        data.load(add(hub, train=make_table(draw(2), [0, 7])))
    broken = make_table(draw(2), [0, 1])
    table = pq.read_table(io.BytesIO(broken))
    cells = pa.array([{"bytes": None, "path": "x.png"}] * 2, IMAGE)
    file = io.BytesIO()
    pq.write_table(table.set_column(0, "image", cells), file)
    with pytest.raises(InputError, match="Row 0 has none in the column 'image'"):
        data.load(add(hub, train=file.getvalue()))
    with pytest.raises(InputError, match="Expected complete Parquet files"):
        data.load(add(hub, train=b"PAR1" + bytes(99) + b"PAR1"))
    assert not list_pictures()


def test_data_set_without_parquet_files_is_read_from_the_conversion(hub):
    hub.add("ada/other", {"train/dog/1.png": b"x"})
    with pytest.raises(InputError, match="Found none, nor the Hub's own conversion"):
        data.load("hf-dataset://ada/other")
    sha = hub.add("ada/other", {"plain/train/0000.parquet": make_table(draw(3), [0, 1, 2])})
    hub.add("ada/other", {"train/dog/1.png": b"x"})
    hub.repositories["ada/other"].tags["refs/convert/parquet"] = sha
    assert len(data.load("hf-dataset://ada/other")) == 3


def test_card_tells_configurations_splits_and_classes(hub):
    card = """---
configs:
- config_name: small
  data_files:
  - {split: train, path: "a/x-*.parquet"}
- config_name: large
  data_files:
  - {split: train, path: ["b/*.parquet"]}
dataset_info:
- config_name: small
  features:
  - {name: picture, dtype: image}
  - name: kind
    dtype: {class_label: {names: {'0': dog, '1': cat}}}
---
"""
    tables = {
        name: make_table(draw(count), [0, 1] * (count // 2), None, ("picture", "kind"))
        for name, count in (("a/x-1.parquet", 2), ("a/y.parquet", 4), ("b/z.parquet", 6))
    }
    hub.add("ada/other", {**tables, "README.md": card.encode()})
    address = "hf-dataset://ada/other"
    with pytest.raises(InputError, match=r"It has small, large\. Name one: .*,config=small"):
        data.load(address)
    assert [len(data.load(f"{address},config={name}")) for name in ("small", "large")] == [2, 6]
    assert data.load(f"{address},config=small").names == ("dog", "cat")


def test_classes_of_a_card_that_are_not_numbered_are_in_its_order():
    dtype = {"class_label": {"names": {"b": "dog", "a": "cat", "1": "cow", 0: "owl"}}}
    assert hub_layout._read_card_feature(dtype) == ["dog", "cat", "owl", "cow"]


@pytest.mark.parametrize(
    ("file", "config", "split"),
    [
        ("data/train-00000-of-00001-ab12.parquet", "default", "train"),
        ("plain_text/test-00000-of-00001.parquet", "plain_text", "test"),
        ("plain_text/validation/0000.parquet", "plain_text", "validation"),
        ("val.parquet", "default", "validation"),
        ("0000.parquet", "default", "train"),
        ("test/part-1.parquet", "default", "test"),
    ],
)
def test_split_and_configuration_follow_from_the_name(file, config, split):
    assert hub_layout.group_files([file], {}) == {config: {split: [file]}}


def test_missing_extra_is_named(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r'pip install "keras-unrolled\[datasets\]"'):
        data.load(ADDRESS)


def test_command_ends_with_code_2_for_a_data_set_that_is_not_there(hub, tmp_path, capsys):
    out = tmp_path / "out"
    address = "hf-dataset://ada/dogs"
    code, _, err = call(capsys, "finetune", "resnet_bn_cifar10", "--data", address, "--out", out)
    assert code == 2
    assert "ada/dogs" in err
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
def test_evaluate_and_finetune_take_an_address(hub, tmp_path):
    sample = data.load_sample()
    chosen = [i for label in (0, 1) for i in np.flatnonzero(sample.labels == label)[:6]]
    features = {**FEATURES, "label": {"names": list(sample.names[:2]), "_type": "ClassLabel"}}
    table = make_table(sample.images[chosen], sample.labels[chosen], features)
    address = add(hub, train=table, test=table)
    result = ku.evaluate("resnet_bn_cifar10", address)
    assert (result["n"], result["dataset"]) == (12, address)
    expected = ku.evaluate("resnet_bn_cifar10", sample.take(chosen))
    assert result["accuracy"] == expected["accuracy"] > 0.5
    options = {"epochs": 2, "batch_size": 4, "held_out": 0.3}
    ku.save_preset(models.resnet(8, dataset="cifar", normalization=None), tmp_path / "base")
    tuned = ku.finetune(tmp_path / "base", address, tmp_path / "tuned", **options)
    assert tuned["classes"] == list(sample.names[:2])
