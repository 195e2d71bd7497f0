"""Text files as words."""

import codecs
import shlex
from pathlib import Path

from keras_unrolled import checks

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # first: it begins as that of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_words(folder: str | Path, split: str) -> list[str]:
    """The words of `FOLDER/SPLIT.txt`, with `<eos>` after each line.

    Args:
        folder: path.
        split: "train", "valid" or "test".

    Returns:
        A list of strings.

    Raises:
        InputError: if there is no such file, it is empty, or not UTF-8.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import keras_unrolled as ku
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "test.txt").write_text("a line\\nanother\\n")
        ...     ku.data.read_words(folder, "test")
        ['a', 'line', '<eos>', 'another', '<eos>']
    """
    if not isinstance(folder, (str, Path)):
        raise checks.InputError(
            f"Expected the path of the folder of a text, with train.txt, valid.txt and test.txt. "
            f"Received a {type(folder).__name__}: {checks.first_line(repr(folder), 60)}. To score a list of words call "
            "evaluation.perplexity(model, words)."
        )
    path = checks.expand(checks.named("the folder of the text", folder)) / f"{split}.txt"
    if not path.is_file():
        raise checks.InputError(
            f"Expected a text of one sentence a line in {path}. Found none. Give --data-dir, a folder "
            "with train.txt, valid.txt and test.txt."
        )
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("It has bytes of zero, as UTF-16 or a binary file")
    except ValueError as error:
        problem = error
        if isinstance(error, UnicodeDecodeError):
            problem = f"Byte {error.start:,} is not"
        raise checks.InputError(
            f"Expected UTF-8 in {path}. {problem}. {_say_how_to_convert(content, path.name)}"
        ) from error
    if "\r" in text.strip() and "\n" not in text:
        raise checks.InputError(
            f"Expected lines that end in a line feed in {path}. Found carriage returns only, as of an "
            f"old Macintosh. Convert them: tr '\\r' '\\n' < {shlex.quote(path.name)} > lines.txt"
        )
    from keras_unrolled.models.character_tokenizer import split_words

    words = split_words(text if text.endswith("\n") else text + "\n")
    if len(words) == words.count("<eos>"):
        raise checks.InputError(f"Expected words in {path}. Found none. Fill the file.")
    return words


def _say_how_to_convert(content: bytes, name: str) -> str:
    """The command that converts a text, by its byte order mark or else by its bytes of zero."""
    encoding = next((e for mark, e in _MARKS.items() if content.startswith(mark)), None)
    if encoding is not None:
        why = f"It begins with the byte order mark of {encoding}. Convert it"
    elif b"\0" in content:
        # Most letters of a western text have a byte of zero before or after the other one.
        is_big = content[::2].count(0) > content[1::2].count(0)
        encoding, why = "UTF-16BE" if is_big else "UTF-16LE", "If it is UTF-16, convert it"
    else:
        encoding, why = "ISO-8859-1", "If it is ISO-8859-1 (Latin-1), convert it"
    return f"{why}: iconv -f {encoding} -t UTF-8 {shlex.quote(name)} > utf8.txt"
