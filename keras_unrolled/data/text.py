"""Text files as words."""

from pathlib import Path

from keras_unrolled import checks


def read_words(folder: str | Path, split: str) -> list[str]:
    """The words of `FOLDER/SPLIT.txt`, with `<eos>` after each line.

    Args:
        folder: path.
        split: "train", "valid" or "test".

    Returns:
        A list of strings.

    Raises:
        InputError: if there is no such file, it is empty, or not UTF-8.
    """
    path = Path(checks.named("the folder of the text", folder)).expanduser() / f"{split}.txt"
    if not path.is_file():
        raise checks.InputError(
            f"Expected a text of one sentence a line in {path}. Found none. Give --data-dir, a folder "
            "with train.txt, valid.txt and test.txt."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise checks.InputError(
            f"Expected UTF-8 in {path}. Byte {error.start:,} is not. Convert it: iconv -t utf-8."
        ) from error
    if "\0" in text:
        raise checks.InputError(
            f"Expected UTF-8 in {path}. It has bytes of zero, as UTF-16 or a binary file. Convert it: "
            "iconv -f utf-16 -t utf-8."
        )
    from keras_unrolled.models.character_tokenizer import split_words

    words = split_words(text if text.endswith("\n") else text + "\n")
    if len(words) == words.count("<eos>"):
        raise checks.InputError(f"Expected words in {path}. Found none. Fill the file.")
    return words
