"""Zip files of class folders, the good ones and those that mean harm."""

import shutil
import struct
import zipfile

import huggingface_hub.constants
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled.data import archives
from keras_unrolled.finetuning.images import fingerprint
from keras_unrolled.finetuning.run import Finetuning
from tests.cli.calling import call
from tests.data.pictures import fill, write_image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_ASSETS_CACHE", str(place))
    return place


@pytest.fixture
def folder(tmp_path, rng):
    """Pictures that all differ, with what systems and people leave next to them."""
    place = tmp_path / "pets"
    for name in ("cat", "dog", "caf\u00e9"):
        for i in range(5):
            write_image(place / name / f"{i}.png", rng.integers(0, 256, (8, 9, 3), "uint8"))
    for name in ("cat/.hidden.png", "dog/__pycache__/x.png", "loose.png", "dog/old/9.JPG"):
        write_image(place / name)
    (place / "cat" / "notes.txt").write_text("x" * 99)
    (place / "old").mkdir()
    (place / "old" / "record.json").write_text("{}")
    write_image(place / "old" / "curves.png")
    return place


def zip_folder(folder, base=None):
    """A zip file of a folder as `shutil` makes it; with `base` that folder is at its top."""
    name = folder.with_name(folder.name + ("_top" if base else ""))
    root = folder.parent if base else folder
    return shutil.make_archive(str(name), "zip", root, base)


def write_zip(path, entries, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def list_files(place):
    """What was unpacked; the cache's own folders and locks are always there."""
    return [p for p in place.rglob("*") if p.is_file() and p.name != "files.lock"]


@pytest.mark.parametrize("base", [None, "pets"], ids=["bare", "with its folder"])
def test_archive_gives_the_examples_of_its_folder(folder, cache, base):
    path = zip_folder(folder, base)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/pets/cat/._0.png", b"x")
        archive.writestr(".DS_Store", b"x")
    expected, found = data.load(folder), data.load(path)
    assert (found.names, found.labels.tolist()) == (expected.names, expected.labels.tolist())
    assert found.images.keys() == expected.images.keys()
    for ours, theirs in zip(found.images[:], expected.images[:]):
        np.testing.assert_array_equal(ours, theirs)
    assert found.split == path
    assert found.notes == tuple(n.replace(str(folder), path) for n in expected.notes)
    assert {"._0.png", ".DS_Store", ".hidden.png"}.isdisjoint(p.name for p in list_files(cache))
    assert any("left out 1 file in" in note and "1 .txt" in note for note in found.notes)


def test_archive_is_divided_as_its_folder_is(folder):
    path = zip_folder(folder)
    expected, found = data.load_parts(folder, 0.3, 5), data.load_parts(path, 0.3, 5)
    assert (found.train, found.held) == (expected.train, expected.held)
    parts = [(p.train, p.held) for p in (found, expected)]
    assert fingerprint(found.examples, parts[0]) == fingerprint(expected.examples, parts[1])


def test_parts_of_an_archive_are_its_folders(tmp_path):
    fill(tmp_path / "a" / "train", count=4)
    fill(tmp_path / "a" / "val", count=2)
    fill(tmp_path / "a" / "test", count=3)
    path = zip_folder(tmp_path / "a", "a")
    parts = data.load_parts(path, 0.2, 0)
    assert (len(parts.train), len(parts.held), len(parts.test), parts.divided) == (8, 4, 6, True)
    assert parts.examples.split == path
    assert data.load(path, split=["test"]).split == f"{path}/test"
    with pytest.raises(InputError, match=r"a_top\.zip\. Found test, train, val"):
        data.load(path, split="other")


def test_archive_is_unpacked_once_and_again_if_the_cache_has_lost_files(folder, cache):
    path = zip_folder(folder)
    first = data.load(path).images.paths
    status = first[0].stat()
    assert data.load(path).images.paths == first
    assert first[0].stat().st_ino == status.st_ino
    first[3].unlink()
    again = data.load(path).images
    assert again.paths == first
    assert again.paths[3].is_file()
    shutil.rmtree(cache)
    assert len(data.load(path)) == len(first)
    write_image(folder / "cat" / "new.png")
    assert len(data.load(zip_folder(folder))) == len(first) + 1


def test_names_of_macos_and_windows_are_read(tmp_path):
    picture = write_image(tmp_path / "x.png").read_bytes()
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("cafe\u0301/1.png", "dog\\1.png", "dog\\deep\\2.png"):
            archive.writestr(name, picture)
    raw = bytearray(path.read_bytes())
    for signature, flags in (
        (b"PK\x03\x04", 6),
        (b"PK\x01\x02", 8),
    ):  # UTF-8 that is not said to be
        place = raw.find(signature)
        struct.pack_into("<H", raw, place + flags, 0)
    path.write_bytes(raw)
    examples = data.load(path)
    assert examples.names == ("caf\u00e9", "dog")
    assert examples.images.keys()[1:] == ["dog/1.png", "dog/deep/2.png"]


def make_link(path, name="cat/link.png"):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")


def set_bytes(path, signature, offset, value):
    """Overwrites a field of two bytes in every header of a kind."""
    raw, place = bytearray(path.read_bytes()), -1
    while (place := raw.find(signature, place + 1)) >= 0:
        struct.pack_into("<H", raw, place + offset, value)
    path.write_bytes(raw)


def encrypt(path):
    set_bytes(path, b"PK\x03\x04", 6, 1)
    set_bytes(path, b"PK\x01\x02", 8, 1)


def use_unknown_method(path):
    set_bytes(path, b"PK\x03\x04", 8, 97)
    set_bytes(path, b"PK\x01\x02", 10, 97)


def flip_content(path):
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[-1]
    raw = bytearray(path.read_bytes())
    raw[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    path.write_bytes(raw)


def add(*entries):
    def change(path):
        with zipfile.ZipFile(path, "a") as archive:
            for name, content in entries:
                archive.writestr(name, content)

    return change


HARMFUL = {
    "climbs": (add(("cat/../../x.png", b"x")), "leads out of it"),
    "absolute": (add(("/tmp/x.png", b"x")), "leads out of it"),
    "backslashes": (add(("..\\..\\x.png", b"x")), "leads out of it"),
    "drive": (add(("C:/x.png", b"x")), "leads out of it"),
    "link": (make_link, "is a link or device"),
    "encrypted": (encrypt, "safe to unpack.*is encrypted"),
    "method": (use_unknown_method, "cannot be unpacked"),
    "file and folder": (add(("bird", b"x"), ("bird/1.png", b"x")), "as a file and as a folder"),
    "damaged": (flip_content, "cannot be unpacked"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "cannot be unpacked"),
    "text": (lambda path: path.write_text("hello"), "cannot be unpacked"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be unpacked"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_archive_is_refused_and_leaves_nothing(tmp_path, cache, kind):
    picture = write_image(tmp_path / "x.png").read_bytes()
    path = write_zip(tmp_path / "a.zip", [(f"{n}/1.png", picture) for n in ("cat", "dog")])
    assert len(data.load(path)) == 2
    shutil.rmtree(cache)
    change, message = HARMFUL[kind]
    change(path)
    before = {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)}
    with pytest.raises(InputError, match=message) as error:
        data.load(path)
    assert str(path) in str(error.value)
    assert not list_files(cache)
    assert {p for p in tmp_path.rglob("*") if cache not in (p, *p.parents)} == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_is_there_twice_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("cat/1.png", b"x"), ("dog/1.png", b"x")])
    add(("cat/1.png", b"y"))(path)
    with pytest.raises(InputError, match=r"'cat/1\.png' twice"):
        data.load(path)


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_BYTES_OF_A_FILE", "MOST_ENTRIES"])
def test_bomb_is_refused_before_it_is_unpacked(tmp_path, cache, monkeypatch, limit):
    zeros = [(f"{n}/{i}.bmp", bytes(200_000)) for n in ("cat", "dog") for i in range(2)]
    path = write_zip(tmp_path / "a.zip", zeros, compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(archives, limit, 3)
    with pytest.raises(InputError, match=r"bytes|entries"):
        data.load(path)
    assert not cache.exists() or not list_files(cache)


def test_other_files_take_no_room(tmp_path, cache):
    picture = write_image(tmp_path / "x.png").read_bytes()
    entries = [("cat/1.png", picture), ("dog/1.png", picture), ("cat/film.mp4", bytes(10**6))]
    data.load(write_zip(tmp_path / "a.zip", entries))
    assert sum(p.stat().st_size for p in list_files(cache)) == 2 * len(picture)


def test_messages_about_the_content_name_the_archive(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("cat/1.txt", b"x"), ("dog/1.png", b"x")])
    with pytest.raises(InputError, match=rf"such as {path}/cats/1\.png.*cat \(1 \.txt\)"):
        data.load(path)
    with pytest.raises(InputError, match=rf"{path}/dog/1\.png does not decode"):
        data.load_parts(write_zip(path, [("cat/1.png", b"x"), ("dog/1.png", b"x")]), 0.5, 0)


def test_broken_pictures_of_an_archive_are_named_by_it(pictures, tmp_path):
    good = [p for p in sorted(pictures[0].rglob("*.png")) if p.name != "0.png"]
    entries = [(f"{p.parent.name}/{p.name}", p.read_bytes()) for p in good]
    path = write_zip(tmp_path / "a.zip", [*entries, ("automobile/x.png", b"x")])
    problem = rf"{path}/automobile/x\.png does not decode"
    with pytest.raises(InputError, match=problem):
        ku.evaluate("resnet_bn_cifar10", path)
    result = ku.evaluate("resnet_bn_cifar10", path, skip_broken=True)
    assert str(path / "automobile" / "x.png") in result["notes"][0]
    part = write_zip(tmp_path / "b.zip", [(f"val/{n}", c) for n, c in entries])
    with zipfile.ZipFile(part, "a") as archive:
        archive.writestr("train/airplane/1.png", entries[0][1])
        archive.writestr("train/automobile/1.png", entries[0][1])
    shown = data.load(part, split="validation").images.shown()
    assert shown[0] == f"{part}/val/airplane/1.png"


def test_data_directory_of_an_archive_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="data directory for a data set of TFDS only"):
        data.load(zip_folder(folder), data_dir=tmp_path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes of the bundled sample, as a folder and as a zip file."""
    folder, sample = tmp_path_factory.mktemp("sample") / "pictures", data.load_sample()
    for label in (0, 1):
        for i, image in enumerate(sample.images[sample.labels == label][:8]):
            write_image(folder / sample.names[label] / f"{i}.png", image)
    return folder, zip_folder(folder, "pictures")


@pytest.mark.slow
def test_evaluate_scores_an_archive_as_its_folder(pictures):
    results = [ku.evaluate("resnet_bn_cifar10", str(place)) for place in pictures]
    assert results[0]["n"] == results[1]["n"] == 16
    assert results[0]["accuracy"] == results[1]["accuracy"] > 0.5


def test_damaged_archive_ends_a_command_with_code_2_and_leaves_nothing(tmp_path, capsys):
    place, out = tmp_path / "bad.zip", tmp_path / "out"
    place.write_bytes(b"PK")
    code, _, err = call(capsys, "finetune", "resnet_bn_cifar10", "--data", place, "--out", out)
    assert code == 2
    assert "Expected a complete zip file" in err
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
def test_finetune_on_an_archive_gives_the_weights_of_its_folder_and_resumes(
    pictures, tmp_path, cache
):
    folder, path = pictures
    preset = tmp_path / "base"
    ku.save_preset(models.resnet(8, dataset="cifar", normalization=None), preset)
    options = {"epochs": 3, "batch_size": 4, "learning_rate": 0.001, "seed": 1}
    ku.finetune(preset, folder, tmp_path / "plain", **options)
    count = 0

    def interrupt(*_, **__):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return evaluate(*_, **__)

    evaluate = Finetuning._evaluate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finetuning, "_evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ku.finetune(preset, path, tmp_path / "zipped", **options)
    assert (tmp_path / "zipped.partial").is_dir()
    other = tmp_path / "other" / "renamed.zip"  # the same content elsewhere, the cache gone
    other.parent.mkdir()
    shutil.copy(path, other)
    shutil.rmtree(cache)
    changed = tmp_path / "changed.zip"
    shutil.copy(path, changed)
    add(("pictures/airplane/new.png", write_image(tmp_path / "n.png").read_bytes()))(changed)
    with pytest.raises(InputError, match="data"):
        ku.finetune(preset, changed, tmp_path / "zipped", **options)
    ku.finetune(preset, other, tmp_path / "zipped", **options)
    ours, theirs = (ku.from_preset(tmp_path / name).weights for name in ("zipped", "plain"))
    for a, b in zip(ours, theirs):
        np.testing.assert_array_equal(a, b)
    rows = (tmp_path / "zipped" / "held_out.csv").read_text()
    assert f"{other}/airplane/" in rows
    assert str(cache) not in rows
