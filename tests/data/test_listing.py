"""Which files of a folder count, where some cannot be looked at."""

import os

import pytest

from keras_unrolled import InputError, data
from keras_unrolled.cli.prediction import find_files
from keras_unrolled.data import listing
from tests.data.pictures import fill


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Class folders with a link and a folder that may not be looked at, whoever runs the test."""
    root = fill(tmp_path / "pets", count=2)
    (root / "cat" / "locked").symlink_to(root / "dog")
    (root / "hidden link").symlink_to(root / "dog")
    (root / "cat" / "gone").symlink_to(root / "nowhere")
    blind = {str(root / "cat" / "locked"), str(root / "hidden link")}
    look = os.stat

    def stat(path, *arguments, follow_symlinks=True, **options):
        if isinstance(path, (str, os.PathLike)) and os.fspath(path) in blind and follow_symlinks:
            raise PermissionError(13, "Permission denied", path)
        return look(path, *arguments, follow_symlinks=follow_symlinks, **options)

    monkeypatch.setattr(os, "stat", stat)
    return root


def test_entry_that_cannot_be_looked_at_is_left_out_and_counted(folder, capsys):
    files = find_files([str(folder)])
    assert [os.path.relpath(path, folder) for path in files] == [
        "cat/0.png",
        "cat/1.png",
        "dog/0.png",
        "dog/1.png",
    ]
    assert "3 files" in (error := capsys.readouterr().err)
    assert "2 unreadable, 1 broken link" in error
    examples = data.load_folder(folder)
    assert len(examples) == 4
    assert "1 unreadable" in examples.notes[0]


def test_folder_that_may_not_be_read_is_left_out_by_predict_only(folder, capsys, monkeypatch):
    closed = folder / "cat" / "closed"
    fill(closed, ["a"])
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    assert len(find_files([str(folder)])) == 4
    assert "1 unreadable folder" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"closed\. It may not be read"):
        data.load_folder(folder)
    with pytest.raises(InputError, match=r"closed\. It may not be read"):
        list(listing.walk(closed, skip_closed=True))


def test_class_folder_that_may_not_be_read_is_named(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="closed"):
        data.load_folder(tmp_path)
    closed.chmod(0o755)
