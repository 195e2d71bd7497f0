"""Texts as words."""

import contextlib
import shutil
import subprocess

import pytest

from keras_unrolled import InputError, data
from keras_unrolled.models import CharacterTokenizer


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Found none"),
        (b"", "Expected words in"),
        (b"\n\n", "Expected words in"),
        (b"caf\xe9 au lait\n", "Byte 3 is not"),
        ("the company\n".encode("utf-16-le"), "bytes of zero"),
        ("the company\n".encode("utf-16"), "Byte 0 is not"),
        (b"the\0company\n", "bytes of zero"),
        (b"the company\rit will\r", r"tr '\\r' '\\n' < train.txt > lines.txt"),
    ],
)
def test_text_that_will_not_do_is_rejected(tmp_path, content, message):
    if content is not None:
        (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        data.read_words(tmp_path, "train")


@pytest.mark.skipif(shutil.which("iconv") is None, reason="needs iconv")
@pytest.mark.parametrize(
    ("codec", "mark", "named"),
    [
        ("utf-16-le", b"\xff\xfe", "UTF-16"),
        ("utf-16-be", b"\xfe\xff", "UTF-16"),
        ("utf-32-le", b"\xff\xfe\0\0", "UTF-32"),
        ("utf-32-be", b"\0\0\xfe\xff", "UTF-32"),
        ("utf-16-le", b"", "UTF-16LE"),
        ("utf-16-be", b"", "UTF-16BE"),
        ("latin-1", b"", "ISO-8859-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.hex(),
)
def test_command_in_the_message_converts_the_text(tmp_path, codec, mark, named):
    text = "the caf\u00e9 is closed\n"
    (tmp_path / "test.txt").write_bytes(mark + text.encode(codec))
    with pytest.raises(InputError, match=f"iconv -f {named} -t UTF-8 test.txt") as error:
        data.read_words(tmp_path, "test")
    command = str(error.value).rpartition(": ")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    (tmp_path / "utf8.txt").rename(tmp_path / "test.txt")
    assert data.read_words(tmp_path, "test") == [*text.split(), "<eos>"]


def test_lines_end_with_a_word_of_their_own(tmp_path):
    (tmp_path / "valid.txt").write_text(" one two \nthree\n\nfour")
    words = data.read_words(tmp_path, "valid")
    assert words == ["one", "two", "<eos>", "three", "<eos>", "<eos>", "four", "<eos>"]


def test_byte_order_mark_is_no_word(tmp_path):
    (tmp_path / "test.txt").write_text("the end\n", encoding="utf-8-sig")
    assert data.read_words(tmp_path, "test") == ["the", "end", "<eos>"]


def test_tokenizer_and_files_divide_a_text_in_the_same_way(tmp_path):
    text = "one\r\ntwo\x0bthree\x0cfour\u2028five\x85six\rseven\n\neight\n"
    (tmp_path / "test.txt").write_bytes(text.encode())
    tokenizer = CharacterTokenizer.learn(["one"])
    words = data.read_words(tmp_path, "test")
    assert words == tokenizer.split(text)
    assert words.count("<eos>") == text.count("\n")


@pytest.mark.slow
def test_damaged_texts_are_read_or_rejected(tmp_path, rng):
    content = "the caf\u00e9 \u2028 is\r\n closed\n\n".encode() * 3
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(rng.integers(0, 6)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        del damaged[rng.integers(len(damaged)) :]
        (tmp_path / "test.txt").write_bytes(damaged)
        with contextlib.suppress(InputError):
            words = data.read_words(tmp_path, "test")
            text = bytes(damaged).decode()
            assert words.count("<eos>") == text.count("\n") + (not text.endswith("\n"))
            assert [w for w in words if w != "<eos>"] == text.split()
