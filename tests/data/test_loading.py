"""What a path or name stands for, and which of its images are used."""

import os

import numpy as np
import pytest

from keras_unrolled import InputError, data
from keras_unrolled.data import loading
from keras_unrolled.data.loading import choose
from tests.data.pictures import fill, write_image


def make_examples(labels, names=("a", "b", "c")):
    images = np.arange(len(labels), dtype="uint8")[:, None, None, None] * np.ones(
        (1, 2, 2, 3), "uint8"
    )
    return data.Examples(images, labels, names, "mine")


@pytest.mark.parametrize(
    ("labels", "count", "expected"),
    [
        ([2] * 10 + [0] * 10, 4, [2, 0, 2]),
        ([2] * 10 + [1] * 20 + [0] * 10, 36, [9, 18, 9]),
        ([1] * 10 + [0] * 10 + [2] * 10, 24, [8, 8, 8]),
        ([1] * 30 + [0, 2] * 15, 12, [3, 6, 3]),
    ],
    ids=["two classes", "descending", "in any order", "one class first"],
)
def test_images_are_drawn_evenly_where_classes_come_in_runs(labels, count, expected):
    examples = make_examples(labels)
    part = choose(examples, count)
    assert np.bincount(part.labels).tolist() == expected
    assert part.split == f"mine, {count} of {len(labels)} drawn with seed 0"
    np.testing.assert_array_equal(choose(examples, count).images, part.images)
    assert not np.array_equal(choose(examples, count, seed=1).images, part.images)


def test_images_of_a_table_that_begins_with_one_class_are_drawn_evenly(tmp_path):
    fill(tmp_path, ["cat", "ship"], 10)
    rows = [f"{name}/{i}.png,{name}\n" for name in ("ship", "cat") for i in range(10)]
    (tmp_path / "list.csv").write_text("file,label\n" + "".join(rows))
    aligned = data.align(data.load(tmp_path / "list.csv"), ["cat", "dog", "ship"])
    assert np.bincount(choose(aligned, 8).labels).tolist() == [4, 0, 4]


def test_first_images_are_taken_of_a_random_order(rng):
    examples = make_examples(rng.permutation(np.repeat([0, 1, 2], 20)))
    part = choose(examples, 30)
    np.testing.assert_array_equal(part.images, examples.images[:30])
    assert part.split == "mine[:30]"


def test_files_in_two_parts_are_counted_and_kept(tmp_path):
    fill(tmp_path / "train", count=4)
    fill(tmp_path / "val", count=2)
    (tmp_path / "val" / "cat" / "same.png").symlink_to(tmp_path / "train" / "cat" / "0.png")
    os.link(tmp_path / "train" / "dog" / "1.png", tmp_path / "val" / "dog" / "same.png")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    parts = data.load_parts(tmp_path, 0.2, 0)
    assert (len(parts.train), len(parts.held), len(parts.test)) == (8, 6, 8)
    train = tmp_path / "train"
    assert parts.examples.notes == (
        f"found 2 files of {tmp_path / 'val'} in {train} too, which raises the score",
        f"found 8 files of {tmp_path / 'test'} in {train} too, which raises the score",
    )


def test_images_next_to_class_folders_are_counted(tmp_path):
    fill(tmp_path / "train", count=2)
    fill(tmp_path / "val", count=2)
    for name in ("train/1.png", "train/2.png", "1.png", ".hidden.png"):
        write_image(tmp_path / name)
    notes = [
        f"left out 2 images in {tmp_path / 'train'} itself, in no class folder",
        f"left out 1 image in {tmp_path} itself, in no class folder",
    ]
    assert [*data.load_parts(tmp_path, 0.2, 0).examples.notes] == notes
    assert [*data.load(tmp_path).notes] == notes
    assert [*data.load(tmp_path / "train").notes] == notes[:1]


def test_notes_on_every_part_are_kept(tmp_path):
    for name in ("train", "val", "test"):
        fill(tmp_path / name, count=2)
        (tmp_path / name / "cat" / "a.txt").write_text("x")
    notes = data.load_parts(tmp_path, 0.2, 0).examples.notes
    assert [*notes] == [
        f"left out 1 file in {tmp_path / name}: 1 .txt" for name in ("train", "val", "test")
    ]


def test_data_of_one_class_are_not_trained_on():
    images = np.zeros((4, 8, 8, 3), "uint8")
    with pytest.raises(InputError, match=r"Received one class, 0\. Add images"):
        data.load_parts((images, np.zeros(4, int)), 0.5, 0)


@pytest.mark.parametrize("read", [data.load, lambda source: data.load_parts(source, 0.2, 0)])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://me/x", "Received an address: hf://me/x. Download"),
        ("https://x.org/a.csv", "Received an address: https://x.org/a.csv. "),
        ("hf://datasets/ada/pets", r"\. Write hf-dataset://ada/pets, where"),
        (
            "https://huggingface.co/datasets/ada/pets/tree/main",
            "Write hf-dataset://ada/pets, where",
        ),
        ("x" * 5000, r"Received: 'x{80}'\.\.\., which cannot be one \(File name too long\)"),
        ("a\0b", "cannot be one .*null"),
        ("~nobody_of_this_name/x", "whose user exists. Received: ~nobody_of_this_name/x"),
    ],
)
def test_what_is_no_path_is_rejected_as_it_was_given(read, source, message):
    with pytest.raises(InputError, match=message):
        read(source)


@pytest.mark.parametrize("source", [None, 5, b"pets", []])
def test_what_is_no_string_is_rejected(source):
    for read in (data.load, data.load_folder, data.load_csv, data.find_parts):
        with pytest.raises(InputError, match="Expected a path or name for"):
            read(source)


def test_folder_named_as_a_table_is_said_to_be_one(tmp_path):
    fill(tmp_path / "pets.csv")
    with pytest.raises(InputError, match=r"Found a folder. .*rename the folder .* \.csv"):
        data.load(tmp_path / "pets.csv")


@pytest.mark.parametrize("version", ["1.0.0", "small/1.0.0"])
def test_folder_that_tfds_has_prepared_is_read_as_such(tmp_path, monkeypatch, version):
    (tmp_path / "beans" / version).mkdir(parents=True)
    (tmp_path / "beans" / version / "dataset_info.json").write_text("{}")
    fill(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "load_tfds", lambda *arguments: arguments)
    assert data.load("beans", ".", "test") == ("beans", ".", "test")
    with pytest.raises(InputError, match="for a data set of TFDS only"):
        data.load("pets", ".")
    with pytest.raises(InputError, match="Found no image"):
        data.load("beans")
