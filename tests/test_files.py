import threading

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


def test_many_may_make_the_same_folder_at_once(tmp_path):
    barrier = threading.Barrier(8)

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


def test_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="may it be written"),
        files.written_aside(tmp_path / "file" / "folder"),
    ):
        pass


def test_full_disk_is_reported_before_anything_is_written(tmp_path):
    files.check_room(tmp_path / "deep" / "er", 1)
    with pytest.raises(InputError, match="MB of room"):
        files.check_room(tmp_path / "deep" / "er", 2**60)
    assert list(tmp_path.iterdir()) == []
