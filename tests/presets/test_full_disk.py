"""Disks that fill up or may not be written, under the Hub's cache and where presets are compared."""

import contextlib
import re
import shutil
import subprocess
import tempfile

import huggingface_hub
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, paths
from keras_unrolled.presets import publishing, regated
from tests.presets.conftest import FILES, fetch


@pytest.fixture
def disk(tmp_path_factory):
    """A function that mounts a disk of a size in bytes."""
    with contextlib.ExitStack() as stack:

        def mount(size, *options):
            place = tmp_path_factory.mktemp("disk")
            choice = ",".join([f"size={size}", *options])
            command = ["mount", "-t", "tmpfs", "-o", choice, "tmpfs", str(place)]
            if shutil.which("mount") is None or subprocess.run(command, stderr=-3).returncode:
                pytest.skip("needs the right to mount a disk")
            stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
            return place

        yield mount


@pytest.fixture
def hub_on(small_hub, monkeypatch):
    """A function that puts the cache of `small_hub` on a disk."""

    def hub_on(disk):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(disk))
        return small_hub

    return hub_on


def contents(disk):
    """The names of files with something in them; locks have nothing."""
    return {p.name for p in disk.rglob("*") if p.is_file() and p.stat().st_size}


def test_cache_without_room_is_told_before_anything_is_downloaded(disk, hub_on):
    place = disk(40_000)  # the weights alone have 50,000 bytes
    server = hub_on(place)
    with pytest.raises(InputError, match="of room for"):
        fetch()
    assert not [path for _, path in server.requests if "/objects/" in path]
    assert contents(place) == set()


def test_disk_that_fills_up_during_a_download_leaves_no_part_of_a_file(disk, hub_on):
    place = disk(400_000)
    server = hub_on(place)
    filler = place / "filler"

    def fill(handler, path):
        if "/objects/" in path and not filler.exists():
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        return False

    server.fault = fill
    with pytest.raises(InputError, match="Is there room on the disk") as error:
        fetch()
    assert "HF_HOME sets another place" in str(error.value)
    assert not list(place.rglob("*.incomplete"))
    assert not list(place.rglob("model.weights.h5"))
    filler.unlink()
    server.fault = None
    assert fetch() == FILES


def test_disk_without_room_for_another_name_is_reported(disk, hub_on):
    hub_on(disk(10**6, "nr_inodes=8"))
    with pytest.raises(InputError, match="Is there room on the disk"):
        fetch()


def test_cache_that_may_not_be_written_gives_what_it_has(disk, hub_on):
    place = disk(10**6)
    server = hub_on(place)
    remount = ["mount", "-o", "remount,ro", str(place)]
    subprocess.run(remount, check=True)
    with pytest.raises(InputError, match="may it be written"):
        fetch()
    subprocess.run([*remount[:2], "remount,rw", str(place)], check=True)
    fetch()
    subprocess.run(remount, check=True)
    commit = server.repositories["ada/small"].commits[-1][0]
    assert fetch() == fetch(revision=commit) == fetch(local_files_only=True) == FILES


def test_converted_preset_on_a_disk_that_may_not_be_written(disk, monkeypatch):
    place = disk(10**6, "ro")
    monkeypatch.setattr(huggingface_hub.constants, "HF_ASSETS_CACHE", str(place / "assets"))
    monkeypatch.setattr(regated, "resolve", lambda name: (place, ku.load_record(name)))
    with pytest.raises(InputError, match="HF_HOME sets another place"):
        regated.find_folder("highway_bn_imagenet")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # when the client uploads
@pytest.mark.filterwarnings("ignore:Not enough free disk space:UserWarning")  # and says so itself
def test_commit_is_named_when_there_is_no_room_to_compare_it(disk, running_server, monkeypatch):
    place = disk(16_000)
    folder = paths.zoo() / "checkpoints" / "highway_bn_cifar10"
    monkeypatch.setattr(publishing, "_verify_in_a_new_process", lambda folder: None)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    url = running_server.url
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for name, value in {
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    with pytest.raises(InputError, match="was published, in commit") as error:
        ku.upload_preset("hf://ada/full", folder, token="token-of-ada")
    (commit,) = re.findall(r"verify hf://ada/full@(\w+)`", str(error.value))
    assert running_server.repositories["ada/full"].commits[-1][0] == commit
    assert list(place.iterdir()) == []
