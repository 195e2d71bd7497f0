"""Images that do not decode are listed at once, or left out with a note."""

import pytest

from keras_unrolled import InputError, data
from keras_unrolled.data import broken
from keras_unrolled.data.broken import check_images
from tests.data.pictures import fill


@pytest.fixture
def examples(tmp_path):
    fill(tmp_path / "pets", count=4)
    for name in ("cat/0.png", "dog/1.png", "dog/3.png"):
        path = tmp_path / "pets" / name
        path.write_bytes(path.read_bytes()[:40])
    return data.load_folder(tmp_path / "pets")


def test_all_broken_images_are_listed(examples):
    with pytest.raises(InputError, match=r"3 of 8 do not: .*cat/0.*dog/1.*dog/3.*--skip-broken"):
        check_images(examples)


def test_list_of_broken_images_says_how_many_it_leaves_out(examples, monkeypatch):
    monkeypatch.setattr(broken, "SHOWN", 2)
    with pytest.raises(InputError, match=r"3 of 8 do not: [^;]*; [^;]*; and 1 more\. Fix"):
        check_images(examples)


def test_broken_images_are_left_out_on_request(examples):
    left = check_images(examples, skip=True)
    assert left.images.keys() == ["cat/1.png", "cat/2.png", "cat/3.png", "dog/0.png", "dog/2.png"]
    assert left.labels.tolist() == [0, 0, 0, 1, 1]
    assert left.notes[0].startswith("3 of 8 images do not decode")


def test_class_of_broken_images_is_rejected(examples, tmp_path):
    for path in (tmp_path / "pets/cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="cat has none"):
        check_images(examples, skip=True)


def test_class_without_files_may_stay_without_images(examples):
    aligned = data.align(examples, ["bird", "cat", "dog", "horse"])
    left = check_images(aligned, skip=True)
    assert left.labels.tolist() == [1, 1, 1, 2, 2]
    assert left.names == aligned.names
