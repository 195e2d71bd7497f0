import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from keras_unrolled import InputError, files


def test_folder_appears_whole_or_not_at_all(tmp_path):
    with files.written_aside(tmp_path / "a" / "new") as aside:
        (aside / "x").write_text("1")
        assert not (tmp_path / "a" / "new").exists()
    assert (tmp_path / "a" / "new" / "x").read_text() == "1"

    def fail():
        with files.written_aside(tmp_path / "a" / "new") as aside:
            (aside / "x").write_text("2")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (tmp_path / "a" / "new" / "x").read_text() == "1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_folder_is_replaced_unless_another_process_made_it(tmp_path):
    for content, keep in (("1", False), ("2", False), ("3", True)):
        with files.written_aside(tmp_path / "f", keep=keep) as aside:
            (aside / content).write_text("")
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["2"]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_many_may_make_the_same_folder_at_once(tmp_path, monkeypatch):
    barrier, mkdtemp = threading.Barrier(8, timeout=60), tempfile.mkdtemp

    def make_slowly(**options):
        path = mkdtemp(**options)
        time.sleep(0.01)  # another thread may look at it meanwhile
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", make_slowly)

    def make(i):
        with files.written_aside(tmp_path / "f", keep=True) as aside:
            (aside / "x").write_text(str(i))
            barrier.wait()

    threads = [threading.Thread(target=make, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len((tmp_path / "f" / "x").read_text()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_full_disk_is_reported_before_anything_is_written(tmp_path):
    files.check_room(tmp_path / "deep" / "er", 1)
    with pytest.raises(InputError, match="MB of room"):
        files.check_room(tmp_path / "deep" / "er", 2**60)
    assert list(tmp_path.iterdir()) == []


LOCK = """
import sys, time
from keras_unrolled import files
with files.locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_folder_is_locked_until_the_process_ends_however_it_ends(tmp_path):
    command = [sys.executable, "-c", LOCK, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(InputError, match=rf"written to by process {other.pid} on"),
            files.locked(tmp_path / "run"),
        ):
            pass
        other.kill()
        other.wait()
    with files.locked(tmp_path / "run"):
        pass


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file"):
        files.check_writable(tmp_path / "file" / "a" / "b")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):
        with pytest.raises(InputError, match="may not be written"):
            files.check_writable(closed / "a")
    files.check_writable(tmp_path / "a" / "b")


REPLACE = """
import os, signal, sys
from keras_unrolled import files
folder, fatal = sys.argv[1], int(sys.argv[2])
count = 0

def hook(event, arguments):
    global count
    if event in ("os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.chmod", "open", "os.listdir"):
        if any(os.path.dirname(folder) in str(argument) for argument in arguments):
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
with files.written_aside(folder) as aside:
    for name in "abc":
        (aside / name).write_text("new")
print(count)
"""


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.slow
def test_folder_survives_a_kill_before_every_call_of_the_file_system(tmp_path):
    old, new = dict.fromkeys("ab", "old"), dict.fromkeys("abc", "new")
    folder = tmp_path / "preset"

    def replace(fatal):
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        with files.written_aside(folder) as aside:
            for name, text in old.items():
                (aside / name).write_text(text)
        command = [sys.executable, "-c", REPLACE, str(folder), str(fatal)]
        return subprocess.run(command, capture_output=True, text=True)

    calls = int(replace(0).stdout)
    assert calls > 5
    seen = []
    for fatal in range(1, calls + 1):
        assert replace(fatal).returncode == -9
        if folder.exists():
            assert content(folder) in (old, new)
        with pytest.raises(ZeroDivisionError), files.written_aside(folder):
            raise ZeroDivisionError  # the next call restores the folder and leaves nothing else
        assert [path.name for path in tmp_path.iterdir()] == ["preset"]
        assert content(folder) in (old, new)
        seen.append(content(folder) == new)
    assert seen == sorted(seen)
    assert len(set(seen)) == 2


@pytest.mark.parametrize("name", ["a" * 250, "\u00e9" * 120])
def test_name_of_any_length_that_a_folder_may_have_is_written(tmp_path, name):
    with files.written_aside(tmp_path / name) as aside:
        (aside / "x").write_text("new")
    assert content(tmp_path / name) == {"x": "new"}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("same_host", [True, False])
def test_folder_comes_back_in_a_container_that_is_started_again(tmp_path, monkeypatch, same_host):
    """Its processes have the same numbers, and perhaps it has another name."""
    folder = tmp_path / "preset"
    for name in ("preset", "preset-b", "preset-b-host-1"):  # names that begin alike
        with files.written_aside(tmp_path / name) as aside:
            (aside / "name").write_text(name)
    host = socket.gethostname() if same_host else "another-host"
    left = tmp_path / f"{files._name_aside(folder)}-{host}-{os.getpid()}-abc123"
    left.mkdir()
    folder.rename(left.with_name(left.name + files.FORMER))
    monkeypatch.setattr(files, "SECONDS_ELSEWHERE", -1)
    with files.written_aside(folder) as aside:
        assert content(folder) == {"name": "preset"}
        (aside / "name").write_text("new")
    assert content(folder) == {"name": "new"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["preset", "preset-b", "preset-b-host-1"]


def test_folder_that_another_machine_is_writing_stays(tmp_path):
    aside = tmp_path / f"{files._name_aside(tmp_path / 'preset')}-another-host-1-abc123"
    aside.mkdir()
    with files.written_aside(tmp_path / "preset"):
        pass
    assert aside.is_dir()


def test_failure_to_replace_a_file_is_reported(tmp_path):
    def write():
        with files.replaced(tmp_path / "x") as aside:
            aside.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "x").write_text("old")
    with pytest.raises(InputError, match="No space left"):
        write()
    assert content(tmp_path) == {"x": "old"}


def test_folder_that_cannot_be_locked_is_not_made(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(tmp_path), "write_text", refuse)
    with pytest.raises(InputError, match="No space left"), files.locked(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_holder_that_is_no_text_is_still_a_lock(tmp_path):
    with files.locked(tmp_path / "run"):
        (tmp_path / "run" / ".holder").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="written to by"), files.locked(tmp_path / "run"):
            pass


def test_pipe_or_link_in_the_place_of_a_holder_is_rejected(tmp_path):
    (tmp_path / "run").mkdir()
    holder = tmp_path / "run" / ".holder"
    os.mkfifo(holder)
    with pytest.raises(InputError, match="pipe or device"), files.locked(tmp_path / "run"):
        pass
    holder.unlink()
    (tmp_path / "other").write_text("kept")
    holder.symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="is a link"), files.locked(tmp_path / "run"):
        pass
    assert (tmp_path / "other").read_text() == "kept"


@pytest.mark.parametrize("name", ["x" * 5_000, "a/" * 2_500, "caf\udce9", "a\0b"])
def test_path_that_no_folder_can_have_is_rejected(tmp_path, name):
    with pytest.raises(InputError, match="cannot be made"):
        files.check_writable(tmp_path / name)


def test_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("later")
    for name in ("link", "dangling"):
        with files.written_aside(tmp_path / name) as aside:
            (aside / "x").write_text("new")
        assert (tmp_path / name).is_symlink()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["dangling", "later", "link", "real"]
    assert content(tmp_path / "real") == content(tmp_path / "later") == {"x": "new"}


def test_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"), files.written_aside(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("address", ["hf://me/x", "gs://bucket/x", Path("https://example.org/x")])
def test_address_is_not_a_folder_to_write(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    shown = re.escape(str(address).replace(":/e", "://e"))
    with pytest.raises(InputError, match=f"Received an address: {shown}. Pass a path"):
        files.check_writable(address)
    with pytest.raises(InputError, match="an address"), files.written_aside(address):
        pass
    assert not any(tmp_path.iterdir())


def test_folder_to_write_has_a_name(tmp_path):
    with pytest.raises(InputError, match="which is empty"):
        files.check_writable("")
    files.check_writable(tmp_path / "a:b" / "c")
