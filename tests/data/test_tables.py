"""Tables of images and labels, as spreadsheets write them."""

import contextlib
import unicodedata

import pytest

from keras_unrolled import InputError, data
from tests.data.pictures import fill

ROWS = [("cat/0.png", "old"), ("dog/1.png", "young"), ("cat/3.png", "young")]


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "pets")


def load(folder, content, name="list.csv", encoding="utf-8"):
    (folder / name).write_bytes(content.encode(encoding))
    return data.load(folder / name)


def table(separator=",", header=("file", "label"), end="\n"):
    return "".join(separator.join(row) + end for row in [header, *ROWS])


@pytest.mark.parametrize(
    "content",
    [
        table(),
        table(";"),
        table("\t"),
        table("|"),
        table(", "),
        table(header=("File", "LABEL")),
        table(header=(" file", "label ")),
        table(end="\r\n"),
        table(end="\r"),
        table().replace("/", "\\"),
        "\n\n" + table().replace("\n", "\n\n"),
        'file,label\n"cat/0.png","old"\n"dog/1.png",young\ncat/3.png,"young"',
        "label,file,note\nold,cat/0.png,x\nyoung,dog/1.png,\nyoung,cat/3.png\n",
        "sep=;\n" + table(";"),
        '"sep=;"\r\n' + table(";"),
        '"sep=,"\n' + table(),
        table(";", header=("file", "label;notes, remarks, and, more")),
        table(header=("file", "label,,")).replace("young\n", "young,,\n"),
    ],
)
def test_table_is_read_however_it_is_written(folder, content):
    examples = load(folder, content)
    assert examples.names == ("old", "young")
    assert examples.labels.tolist() == [0, 1, 1]
    assert examples.images.keys() == [file for file, _ in ROWS]
    assert examples.images[0:1][0].shape == (10, 12, 3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_gives_the_encoding(folder, encoding):
    assert load(folder, table(), encoding=encoding).names == ("old", "young")


def test_table_of_tabs_may_be_named_so(folder):
    assert load(folder, table("\t"), name="list.tsv").labels.tolist() == [0, 1, 1]


def test_labels_that_look_alike_are_one_class(folder):
    content = "file,label\ncat/0.png,a\ncat/1.png,a \ndog/0.png,caf\u00e9\ndog/1.png,cafe\u0301\n"
    examples = load(folder, content)
    assert examples.names == ("a", "caf\u00e9")
    assert examples.labels.tolist() == [0, 0, 1, 1]
    assert len(examples.notes) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,class\na.png,b\n", "the columns file and label.*'name', 'class', separated by ','"),
        ("file,file,label\na,b,c\n", "the columns file and label"),
        ("", "Found nothing"),
        ("\n\n", "Found nothing"),
        ("file,label\ndog/1.png,a\ndog/77.png,b\n", r"1 of 2 is missing: dog/77\.png \(line 3\)"),
        ("file,label\n\n\ndog/1.png,a\n\ndog/2.png\n", "Line 6 has 1 value:"),
        ("file,label\ndog/1.png,a,b\n", "Line 2 has 3 values"),
        ("file,label\ndog/1.png, \n", "Line 2 has 2 values"),
        ("file,label\ndog/1.png,a\ndog/2.png,a\n", "two classes or more"),
        ("file,label\ndog/1.png,a\x07\ndog/2.png,a\n", "line 2"),
        ("file,label\n" + "x" * 200_000 + ",a\n", "field larger than field limit"),
        ("file,label\n../../dog,a\n", "1 of 1 is missing"),
        (f"file,label\n{'y' * 5000}.png,a\n", r"is missing: y{200} \(line 2\)"),
        ("file,label\ndog/1.png,a\ndog/2.png,b\n./dog/1.png,b\n", "'a' .line 2. and 'b' .line 4."),
        ("f\0i", "bytes of zero"),
        (
            "file,label\ndog/1.png,a\ncat/1.png,b\n./dog/1.png,b\n",
            r"has 'a' \(line 2\) and 'b' \(line 4\)",
        ),
    ],
)
def test_table_that_will_not_do_is_rejected_with_the_line_of_the_file(folder, content, message):
    with pytest.raises(InputError, match=message):
        load(folder, content)


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (['dog/1.png,"old', "cat/0.png,young", "cat/1.png,old"], 2),
        (["dog/1.png,old", 'cat/0.png,"young', 'cat/1.png,old"', "cat/2.png,old"], 3),
        (["dog/1.png,old,big", 'cat/0.png,young,"small', 'cat/1.png,old,big"'], 3),
        (["dog/1.png,old", "cat/0.png,young", 'cat/1.png,"old'], 4),
        (["dog/1.png,old", "cat/0.png,young", 'cat/1.png,"old\n'], 4),
        (["dog/1.png,old", 'cat/0.png,"young', *["cat/1.png,old"] * 20_000], 3),
    ],
    ids=["rest of the file", "closed later", "note", "last label", "last line", "long"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quoted_cell_that_does_not_end_on_its_line_is_rejected_with_the_line(
    folder, lines, number, end
):
    with pytest.raises(
        InputError, match=f"opens in line {number} does not. Close or remove the quote"
    ):
        load(folder, end.join(["file,label,note", *lines]))


@pytest.mark.parametrize("column", ["split", "Fold"])
def test_column_that_names_parts_is_noted(folder, column):
    examples = load(
        folder, table(";", header=("file", f"label;{column}")).replace("old\n", "old;test\n")
    )
    assert len(examples) == 3
    assert examples.notes == (f"the column {column.lower()!r} is not read: all rows are used",)


def test_file_that_is_named_again_counts_once(folder):
    examples = load(folder, table() + "./cat/3.png,young\ncat/0.png,old\n")
    assert examples.images.keys() == [file for file, _ in ROWS]
    assert "2 lines" in examples.notes[0]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01\x80", b"file,label\ncaf\xe9.png,a\n"])
def test_table_in_another_encoding_is_rejected(folder, content):
    (folder / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match="Save it as UTF-8"):
        data.load(folder / "list.csv")


def test_file_that_is_named_again_is_left_out(folder):
    (folder / "link.png").symlink_to(folder / "dog" / "1.png")
    examples = load(folder, table() + "./dog/1.png,young\nlink.png,young\ndog/../cat/0.png,old\n")
    assert examples.images.keys() == [file for file, _ in ROWS]
    assert examples.labels.tolist() == [0, 1, 1]
    assert examples.notes == ("left out 3 lines with a file named before",)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_file_is_found_however_its_name_is_composed(folder, forms):
    disk, written = (unicodedata.normalize(form, "caf\u00e9.png") for form in forms)
    (folder / "dog" / "1.png").rename(folder / "dog" / disk)
    examples = load(folder, table().replace("dog/1.png", f"dog\\{written}"))
    assert examples.images.paths[1] == folder / "dog" / disk


def test_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="Found no file"):
        data.load(tmp_path / "none.csv")


@pytest.mark.slow
def test_damaged_tables_are_read_or_rejected(folder, rng):
    content = table(";").encode() + b'dog/2.png;"say ""hi"""\n' + table("\t").encode("utf-16")
    read = 0
    for i in range(500):
        damaged = bytearray(content[: len(content) // (1 + i % 2)])
        for _ in range(rng.integers(0, 6)):
            damaged[rng.integers(len(damaged))] = rng.choice([0, 10, 13, 34, 44, 59, 92, 128, 255])
        if i % 3 == 0:
            del damaged[rng.integers(len(damaged)) :]
        (folder / "list.csv").write_bytes(damaged)
        with contextlib.suppress(InputError):
            examples = data.load(folder / "list.csv")
            assert len(examples.names) > 1
            assert all(path.is_file() for path in examples.images.paths)
            read += 1
    assert 0 < read < 500


@pytest.mark.parametrize("name", ["table.txt", "Table", "images/labels"])
@pytest.mark.parametrize(
    "read", [data.load, lambda path: data.load_parts(path, 0.2, 0)], ids=["load", "load_parts"]
)
def test_table_of_another_suffix_is_found_but_rejected(folder, monkeypatch, name, read):
    monkeypatch.chdir(folder)
    (folder / "images").mkdir()
    (folder / name).write_text(table())
    with pytest.raises(InputError, match=rf"\.csv or \.tsv.*{name} is a file .*rename it"):
        read(name)
