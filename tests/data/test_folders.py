"""Folders of class folders, as people have them on their disks."""

import os

import numpy as np
import pytest

from keras_unrolled import InputError, data
from tests.data.pictures import fill, write_image


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "pets")


def test_classes_and_paths_are_in_alphabetical_order(folder):
    write_image(folder / "dog" / "more" / "9.JPG")
    examples = data.load_folder(folder)
    assert examples.names == ("cat", "dog")
    assert examples.labels.tolist() == [0] * 4 + [1] * 5
    assert examples.images.paths == sorted(examples.images.paths)
    assert examples.images.keys()[-1] == "dog/more/9.JPG"
    assert examples.notes == ()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="Found no folder at"):
        data.load_folder(tmp_path / "nowhere")


def test_folder_without_class_folders_says_so(folder):
    with pytest.raises(InputError, match="Found 4 images in no class folder"):
        data.load_folder(next(path for path in folder.iterdir() if path.is_dir()))


def test_folder_without_images_is_rejected(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(InputError, match="Found no image in it"):
        data.load_folder(tmp_path)


def test_folder_of_tfds_is_rejected_with_the_names_to_pass(tmp_path):
    version = tmp_path / "tfds" / "beans" / "0.1.0"
    version.mkdir(parents=True)
    (version / "dataset_info.json").write_text('{"name": "beans"}')
    for folder in (tmp_path / "tfds", version.parent, version):
        with pytest.raises(InputError, match=f"Pass 'beans' .* and '{tmp_path / 'tfds'}' for TFDS"):
            data.load_folder(folder)


def test_single_class_is_rejected(tmp_path):
    fill(tmp_path, ["cat"])
    with pytest.raises(InputError, match="one class only, 'cat'"):
        data.load_folder(tmp_path)


def test_class_without_images_is_rejected_with_what_it_has(folder):
    (folder / "frog").mkdir()
    with pytest.raises(InputError, match=r"frog \(no files\)"):
        data.load_folder(folder)
    for name in ("1.heic", "2.heic", "a.txt"):
        (folder / "frog" / name).write_text("x")
    with pytest.raises(InputError, match=r"frog \(2 \.heic, 1 \.txt\)"):
        data.load_folder(folder)


def test_every_suffix_that_is_decoded_is_read(tmp_path):
    fill(tmp_path, ["a"], 1)
    for suffix in (".tif", ".TIFF", ".ppm", ".webp", ".gif", ".bmp"):
        write_image(tmp_path / "b" / f"x{suffix}")
    for suffix in (".jfif", ".jpe", ".JPG"):
        write_image(tmp_path / "b" / f"x{suffix}", format="JPEG")
    examples = data.load_folder(tmp_path)
    assert len(examples) == 10
    assert [image.shape for image in examples.images[:]] == [(10, 12, 3)] * 10


def test_files_of_other_kinds_are_counted(folder):
    for name in ("notes.txt", "a.json", "b.json", "README"):
        (folder / "cat" / name).write_text("x")
    (note,) = data.load_folder(folder).notes
    assert note.startswith("left out 4 files in ")
    assert note.endswith("2 .json, 1 .txt, 1 without a suffix") or "1 without a suffix" in note


def test_hidden_and_system_entries_are_left_out_at_every_level(folder):
    for name in (
        ".cache/1.png",
        "#recycle/1.png",
        "cat/@tmp/1.png",
        "cat/__pycache__/1.png",
        "dog/Temporary Items/1.png",
        "__MACOSX/cat/1.png",
        "cat/.ipynb_checkpoints/1.png",
        "cat/@eaDir/1.png",
        "dog/._0.png",
    ):
        write_image(folder / name)
    (folder / "dog" / "Thumbs.db").write_bytes(bytes(9))
    (folder / "desktop.ini").write_bytes(bytes(9))
    examples = data.load_folder(folder)
    assert (len(examples), examples.names, examples.notes) == (8, ("cat", "dog"), ())


def test_preset_among_the_data_is_no_class(folder):
    write_image(folder / "tuned" / "curves.png")
    (folder / "tuned" / "record.json").write_text("{}")
    write_image(folder / "new.partial" / "x.png")
    write_image(folder / "cat" / "tuned" / "curves.png")
    (folder / "cat" / "tuned" / "record.json").write_text("{}")
    examples = data.load_folder(folder)
    assert (len(examples), examples.names) == (8, ("cat", "dog"))


def test_what_is_no_file_is_counted(folder):
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "cat" / "pipe.png")
    (note,) = data.load_folder(folder).notes
    assert note.startswith("left out 2 files in ")
    assert note.endswith("1 broken link, 1 pipe or device")


def test_links_to_an_image_of_the_same_class_are_left_out(folder):
    (folder / "cat" / "again.png").symlink_to("0.png")
    (folder / "cat" / "below").symlink_to(".")
    os.link(folder / "cat" / "1.png", folder / "cat" / "hard.png")
    (folder / "dog" / "cats").symlink_to(folder / "cat")  # of another class: as it says
    examples = data.load_folder(folder)
    assert np.bincount(examples.labels).tolist() == [4, 8]
    assert sum("links to images of the same class" in note for note in examples.notes) == 1
    assert "kept 4 links to an image of another class in both" in examples.notes


def test_links_are_followed_and_circles_end(folder, tmp_path):
    fill(tmp_path / "elsewhere", ["more"], 2)
    (folder / "frog").symlink_to(tmp_path / "elsewhere" / "more")
    (folder / "cat" / "linked.png").symlink_to(folder / "dog" / "0.png")
    (folder / "cat" / "round").symlink_to(folder)
    examples = data.load_folder(folder)
    assert examples.names == ("cat", "dog", "frog")
    assert {"cat/linked.png", "frog/1.png"} <= set(examples.images.keys())
    assert len(examples) < 40


def test_names_that_look_alike_are_one_class(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    fill(tmp_path, [composed, decomposed, "dog", "dog "], 2)
    examples = data.load_folder(tmp_path)
    assert examples.names == (composed, "dog")
    assert len(examples) == 8
    assert len(examples.notes) == 2
    assert "'dog', 'dog ' were taken as one class" in examples.notes[1]


@pytest.mark.parametrize(
    "other", ["hot\u00a0dog", "hot  dog", "hot dog\u200b", "\ufeffhot dog", "hot d\u00adog"]
)
def test_names_that_differ_in_what_is_not_seen_are_one_class(tmp_path, other):
    examples = data.load_folder(fill(tmp_path, ["hot dog", other, "ship"], 1))
    assert examples.names == ("hot dog", "ship")
    assert "were taken as one class, 'hot dog'" in examples.notes[0]
    assert data.align(examples, [other, "ship"]).labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("other", ["Cat", "\uff43\uff41\uff54", "'cat'", "cat_"])
def test_different_names_that_look_alike_are_noted(tmp_path, other):
    examples = data.load_folder(fill(tmp_path, ["cat", other, "ship"], 1))
    assert len(examples.names) == 3
    assert "look alike and were taken as different classes" in examples.notes[0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"caf\xe9", "not UTF-8"),
        (b"a\nb", r"control character '\\n' \(U\+000A\)"),
        (b"\x07", r"control character '\\x07' \(U\+0007\)"),
    ],
    ids=["latin-1", "line break", "bell"],
)
def test_name_that_cannot_be_shown_is_rejected_with_the_reason(folder, name, problem):
    place = os.path.join(os.fsencode(folder), name)
    os.mkdir(place)
    with open(os.path.join(place, b"0.png"), "wb") as file:
        file.write((folder / "cat" / "0.png").read_bytes())
    with pytest.raises(InputError, match=problem):
        data.load_folder(folder)


@pytest.mark.parametrize(
    ("train", "held"),
    [
        ("train", "valid"),
        ("training", "validation"),
        ("Train", "Val"),
        ("Train", "Test"),
        ("train", "dev"),
        ("TRAIN", "eval"),
        ("training_set", "test_set"),
        ("Training Set", "Validation Set"),
        ("train-images", "validate"),
        ("trainset", "valset"),
        ("trn", "vld"),
    ],
)
def test_parts_are_known_by_their_usual_names(tmp_path, train, held):
    fill(tmp_path / train, count=5)
    fill(tmp_path / held, count=2)
    parts = data.load_parts(tmp_path, 0.2, 0)
    assert parts.examples.names == ("cat", "dog")
    assert (len(parts.train), len(parts.held), parts.test, parts.divided) == (10, 4, None, True)
    assert parts.examples.keys()[-1] == f"{held}/dog/1.png"


def test_test_part_is_scored_and_never_chosen_by(tmp_path):
    fill(tmp_path / "train", count=10)
    fill(tmp_path / "test", count=3)
    parts = data.load_parts(tmp_path, 0.2, 0, chooses=True)
    assert (len(parts.train), len(parts.held), len(parts.test)) == (16, 4, 6)
    assert not parts.divided
    fill(tmp_path / "valid", count=2)
    for chooses in (False, True):
        parts = data.load_parts(tmp_path, 0.2, 0, chooses=chooses)
        assert (len(parts.train), len(parts.held), len(parts.test)) == (20, 4, 6)
        assert all("valid/" in parts.examples.keys()[i] for i in parts.held)


def test_part_without_class_folders_is_left_alone_and_named(tmp_path):
    fill(tmp_path / "train", count=10)
    fill(tmp_path, ["test"], 3)
    parts = data.load_parts(tmp_path, 0.2, 0)
    assert (len(parts.train), len(parts.held), parts.test) == (16, 4, None)
    assert parts.examples.notes == (f"{tmp_path / 'test'} has no class folders and was left alone",)


def test_two_folders_for_one_part_are_rejected(tmp_path):
    for name in ("train", "val", "valid"):
        fill(tmp_path / name)
    with pytest.raises(InputError, match="Found val and valid, both for validation"):
        data.load_parts(tmp_path, 0.2, 0)


def test_classes_that_are_the_same_folders_again_are_rejected(tmp_path):
    for name in ("fold1", "fold2"):
        fill(tmp_path / name)
    with pytest.raises(InputError, match="each with the folders cat, dog"):
        data.load_folder(tmp_path)


@pytest.mark.parametrize(
    ("parts", "classes", "message"),
    [
        (("train", "holdout"), ("cat",), "Found train, which holds cat, dog"),
        (("seg_train", "seg_pred"), (), "Found seg_train, which holds cat, dog"),
        (("train2017", "extra2017"), ("cat",), "Found train2017, which holds cat, dog"),
        (("cat", "ship"), ("train", "val", "test"), "the class cat with the parts dog, train"),
    ],
)
def test_parts_of_unknown_names_or_uneven_classes_are_no_classes(tmp_path, parts, classes, message):
    fill(tmp_path / parts[0], ["cat", "dog"] if len(classes) < 2 else ["train", "val", "dog"])
    fill(tmp_path / parts[1], classes)
    write_image(tmp_path / parts[1] / "0.png")
    with pytest.raises(InputError, match=message):
        data.load_parts(tmp_path, 0.2, 0)


def test_folder_beside_the_parts_is_left_alone_and_named(tmp_path):
    for name in ("train", "val", "extra"):
        fill(tmp_path / name)
    (note,) = data.load_parts(tmp_path, 0.2, 0).examples.notes
    assert note.startswith("extra in ")
    assert note.endswith("left alone")


def test_part_to_score_on_may_lack_classes_but_not_have_others(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"])
    fill(tmp_path / "val", ["dog"], 3)
    fill(tmp_path / "test", ["cat"], 2)
    parts = data.load_parts(tmp_path, 0.2, 0)
    assert parts.examples.labels[parts.held].tolist() == [1, 1, 1]
    assert parts.test.labels.tolist() == [0, 0]
    fill(tmp_path / "val", ["ship"], 1)
    with pytest.raises(InputError, match=r"classes of the training part, .*train: cat, dog"):
        data.load_parts(tmp_path, 0.2, 0)


def test_folder_above_the_classes_is_named(tmp_path):
    fill(tmp_path / "archive")
    with pytest.raises(InputError, match=r"or pass .*archive, which holds cat, dog"):
        data.load_folder(tmp_path)


def test_class_named_train_is_a_class(tmp_path):
    fill(tmp_path, ["train", "plane"])
    assert data.load(tmp_path).names == ("plane", "train")


def test_missing_part_is_named(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "val")
    assert data.load(tmp_path, split="validation").split == str(tmp_path / "val")
    with pytest.raises(InputError, match="Expected a folder test in"):
        data.load(tmp_path, split="test")
