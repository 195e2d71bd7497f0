import os
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, data


def write(path, image=None, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((10, 12, 3), 200, "uint8") if image is None else image
    Image.fromarray(image).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    for name in ("dog", "cat"):
        for i in range(4):
            write(root / name / f"{i}.png")
    return root


def test_folder_of_class_folders_is_read_in_alphabetical_order(folder):
    write(folder / "dog" / "more" / "9.JPG")
    (folder / "dog" / "notes.txt").write_text("not an image")
    (folder / ".cache").mkdir()
    paths, labels, names = data.list_folder(folder)
    assert names == ("cat", "dog")
    assert labels == [0] * 4 + [1] * 5
    assert paths == sorted(paths)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_every_color_mode_becomes_rgb(mode, tmp_path):
    write(tmp_path / "x.tiff", mode=mode)
    image = data.read_image(tmp_path / "x.tiff")
    assert image.shape == (10, 12, 3)
    assert abs(int(image.mean()) - 200) < 3


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="Found no folder at"):
        data.list_folder(tmp_path / "nowhere")


def test_folder_without_images_is_rejected(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(InputError, match="Found no image in it"):
        data.list_folder(tmp_path)


def test_single_class_is_rejected(tmp_path):
    write(tmp_path / "cat" / "1.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match="one class only, 'cat'"):
        data.list_folder(tmp_path)


def test_image_that_does_not_decode_is_named(folder):
    path = folder / "cat" / "broken.png"
    whole = (folder / "cat" / "0.png").read_bytes()
    for damaged in (b"\x89PNG\r\n\x1a\nrubbish", whole[: len(whole) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"broken\.png does not"):
            data.load_folder(folder).images[:5]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="Found none at"):
        data.read_image(tmp_path / "no.png")


def test_divided_folder_gives_the_part_that_is_asked_for(folder, tmp_path):
    for name in ("train", "val"):
        shutil.copytree(folder, tmp_path / "all" / name)
    next((tmp_path / "all/val").rglob("*.png")).unlink()
    whole = len(data.load(folder))
    assert len(data.load(tmp_path / "all")) == whole
    held = data.load(tmp_path / "all", split=["test", "validation"])
    assert len(held) == whole - 1
    assert held.split.endswith("val")


def test_folder_without_class_folders_says_so(folder):
    with pytest.raises(InputError, match="images that are not in a class folder"):
        data.load(next(path for path in folder.iterdir() if path.is_dir()))


def test_class_folder_that_may_not_be_read_is_named(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0)
    if os.access(closed, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="closed"):
        data.load(folder)
    closed.chmod(0o755)


def test_data_directory_of_a_folder_is_rejected(folder):
    with pytest.raises(InputError, match="data_dir='x'"):
        data.load(folder, "x")


def test_split_holds_out_a_part_of_every_class():
    labels = np.repeat([0, 1, 2], [10, 20, 2])
    examples = data.Examples(np.zeros((32, 1, 1, 3), "uint8"), labels, ("a", "b", "c"), "x")
    kept, held = data.split_indices(examples, 0.2, seed=1)
    assert sorted(kept + held) == list(range(32))
    assert np.bincount(labels[held]).tolist() == [2, 4, 1]
    assert data.split_indices(examples, 0.2, seed=1) == (kept, held)
    assert data.split_indices(examples, 0.2, seed=2) != (kept, held)


def test_class_of_one_image_cannot_be_split():
    examples = data.Examples(np.zeros((3, 1, 1, 3), "uint8"), np.array([0, 0, 1]), ("a", "b"), "x")
    with pytest.raises(InputError, match="1 of 'b'"):
        data.split_indices(examples, 0.2, seed=1)


def test_parts_are_named_as_tfds_names_them():
    examples = data.Examples(np.zeros((10, 1, 1, 3)), np.arange(10), ("a",), "train")
    assert examples.part("train", 0, -3).split == "train[:7]"
    assert examples.part("train", -3).split == "train[7:]"
    assert examples.part("train", -3).labels.tolist() == [7, 8, 9]
    assert examples.part("train", 0).split == "train"
    assert examples.part("test", 2, 4).split == "test[2:4]"


def test_labels_are_aligned_with_the_networks():
    examples = data.Examples(np.zeros((3, 1, 1, 3)), np.array([0, 1, 1]), ("b", "a"), "x")
    assert data.align(examples, ["a", "b", "c"]).labels.tolist() == [1, 0, 0]
    with pytest.raises(InputError, match=r"others in\s+the data: b"):
        data.align(examples, ["a", "c"])


def test_cifar10_has_its_known_size_and_content(tfds_dir):
    test = data.load_cifar10(tfds_dir, "test")
    assert test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    held = data.load_cifar10(tfds_dir, "train[45000:]")
    assert len(held) == 5_000


def test_directory_without_cifar10_is_rejected_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="download_and_prepare"):
        data.load_cifar10(tmp_path, "test")


def write_table(path, text):
    path.write_text(text)
    return path


def test_csv_file_names_files_and_labels(folder):
    path = write_table(
        folder / "list.csv",
        "label,file,note\nyoung,dog/1.png,x\nold,cat/0.png,\nyoung,cat/3.png,\n",
    )
    examples = data.load(path)
    assert examples.names == ("old", "young")
    assert examples.labels.tolist() == [1, 0, 1]
    assert [p.name for p in examples.images.paths] == ["1.png", "0.png", "3.png"]
    assert examples.images[0:1][0].shape == (10, 12, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class\na.png,b\n", "the columns file and label.*name, class"),
        ("", "Found nothing"),
        ("file,label\ndog/1.png,a\ndog/77.png,b\n", "1 of 2 are missing.*77"),
        ("file,label\ndog/1.png,a\ndog/2.png\n", "Line 3 lacks one"),
        ("file,label\ndog/1.png,a\ndog/2.png,a\n", "two classes or more"),
    ],
)
def test_csv_file_that_will_not_do_is_rejected(folder, text, message):
    with pytest.raises(InputError, match=message):
        data.load(write_table(folder / "list.csv", text))


def test_csv_file_that_is_not_text_is_rejected(folder):
    (folder / "list.csv").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(InputError, match="cannot be read"):
        data.load(folder / "list.csv")


def test_tfds_gives_the_images_of_any_part_of_a_split(tfds_dir):
    whole = data.load_cifar10(tfds_dir, "test")
    examples = data.load("cifar10:test[1000:1600]", tfds_dir)
    assert len(examples) == 600
    assert examples.names == whole.names
    np.testing.assert_array_equal(examples.labels, whole.labels[1000:1600])
    np.testing.assert_array_equal(np.stack(examples.images[50:90]), whole.images[1050:1090])
    part = examples.part("test", 590)
    assert len(part) == 10
    np.testing.assert_array_equal(np.stack(part.images[:]), whole.images[1590:1600])
    assert data.load("cifar10", tfds_dir, ["test", "train"]).split == "test"


def test_data_set_that_is_not_there_is_reported_with_what_to_do(tfds_dir, tmp_path):
    for source, place, message in (
        ("no_such_thing", None, "Found no folder or file at no_such_thing"),
        ("mnist", tmp_path, r"mnist.*download_and_prepare"),
        ("cifar10:validation", tfds_dir, "a split of cifar10: test, train|train, test"),
    ):
        with pytest.raises(InputError, match=message):
            data.load(source, place)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Found none"),
        (b"", "Expected words in"),
        (b"\n\n", "Expected words in"),
        (b"caf\xe9 au lait\n", "Byte 3 is not"),
    ],
)
def test_text_that_will_not_do_is_rejected(tmp_path, content, message):
    if content is not None:
        (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.read_words(tmp_path, "train")


def test_lines_end_with_a_word_of_their_own(tmp_path):
    (tmp_path / "valid.txt").write_text(" one two \nthree\n\nfour")
    words = data.read_words(tmp_path, "valid")
    assert words == ["one", "two", "<eos>", "three", "<eos>", "<eos>", "four", "<eos>"]
