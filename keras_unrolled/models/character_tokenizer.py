"""Words and their characters as numbers."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_unrolled import checks
from keras_unrolled.models.character_backbone import CharacterBackbone
from keras_unrolled.preset_names import Named

END, UNKNOWN = "<eos>", "<unk>"
# Characters' numbers: padding, start and end of a word, one that is not known, the end of a
# sentence, which is a word of that one character; then those of the text.
PAD, START, STOP, OTHER, PERIOD = range(5)


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterTokenizer(Named, keras_hub.tokenizers.Tokenizer):
    """Words and their characters as numbers.

    Words are what white space divides; the end of a line is the word `<eos>`. What is not in
    the vocabulary has the number of `<unk>` but its own characters, so that it can be read.
    A word in capitals that is known without them is that word.

    Args:
        vocabulary: optional list of words, `<eos>` and `<unk>` first.
        characters: optional string of the known characters.

    Raises:
        InputError: for a vocabulary without the two, or with one word twice.

    Example:
        >>> import keras_unrolled as ku
        >>> tokenizer = ku.models.CharacterTokenizer.learn("the cat saw the dog <eos>".split())
        >>> tokenizer.vocabulary_size()  # with <eos> and <unk>
        6
    """

    backbone_cls = CharacterBackbone
    FILE = "vocabulary.json"

    def __init__(self, vocabulary=None, characters=None, **kwargs):
        super().__init__(**{"dtype": "int32", **kwargs})
        self.file_assets = [self.FILE]
        self.vocabulary: Any = None
        self.characters: Any = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, characters)

    def set_vocabulary(self, vocabulary, characters):
        """Takes a list of words and a string of characters."""
        if list(vocabulary[:2]) != [END, UNKNOWN] or len(set(vocabulary)) != len(vocabulary):
            raise checks.InputError(
                f"Expected a vocabulary of different words that begins with {END} and {UNKNOWN}. "
                f"Received one of {len(vocabulary):,} that begins with "
                f"{', '.join(map(repr, vocabulary[:3]))}. Build it with `CharacterTokenizer.learn`."
            )
        self.vocabulary, self.characters = list(vocabulary), characters
        self.numbers = {word: i for i, word in enumerate(self.vocabulary)}
        self.letters = {c: i for i, c in enumerate(characters, start=PERIOD + 1)}
        self.start_token_id = self.end_token_id = 0
        self.pad_token_id = self.unknown_token_id = 1

    @classmethod
    def learn(cls, words: Iterable[str]) -> "CharacterTokenizer":
        """A tokenizer for all of a list of words, the frequent ones first.

        Raises:
            InputError: for a string, which `split` divides, for no words, and for what is no string.
        """
        counts: Counter[str] = Counter(cls.check_words(words))
        for special in (END, UNKNOWN):
            counts.pop(special, None)
        order = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([END, UNKNOWN, *order], "".join(sorted(set("".join(order)))))

    @staticmethod
    def check_words(words):
        """A list of words; raises `InputError` for a text, for none and for what is no word."""
        hint = "Divide texts with `split`, as in tokenizer.split(text)."
        if isinstance(words, (str, bytes)) or not isinstance(words, Iterable):
            raise checks.InputError(
                f"Expected a list of words. Received a {type(words).__name__}: {words!r:.60}. {hint}"
            )
        words = list(words)
        others = [word for word in words if not isinstance(word, str) or word.split() != [word]]
        if others or not words:
            found = f"{others[0]!r:.80}, which is no word" if others else "none"
            raise checks.InputError(f"Expected a list of words. Received {found}. {hint}")
        return words

    @staticmethod
    def to_string(text):
        """A string, or bytes in UTF-8, as a string; raises `InputError` for anything else."""
        try:
            text = text.decode() if isinstance(text, bytes) else text
        except UnicodeDecodeError as error:
            raise checks.InputError(
                f"Expected texts in UTF-8. Received {text[:60]!r}. Decode them before, "
                "for instance text.decode('latin-1')."
            ) from error
        if not isinstance(text, str):
            raise checks.InputError(
                f"Expected texts. Received a {type(text).__name__}: {text!r}. Pass strings."
            )
        return text

    def split(self, text: str) -> list[str]:
        """The words of a text, with `<eos>` after each line but for what follows the last one.

        Lines end with "\\n" or "\\r\\n"; words are divided by any white space.
        """
        return split_words(text)

    def normalize(self, word: str) -> str:
        """The word as the vocabulary has it, else as it is."""
        lower = word.lower()
        return lower if word not in self.numbers and lower in self.numbers else word

    def tokenize(self, inputs):
        """Numbers of the words of a text, int32, or a list of such for a list of texts."""
        if not isinstance(inputs, str):
            return [self.tokenize(text) for text in inputs]
        words = (self.normalize(word) for word in self.split(inputs))
        return np.array([self.numbers.get(w, self.unknown_token_id) for w in words], "int32")

    def call(self, inputs, *args, training=None, **kwargs):
        return self.tokenize(inputs)

    def unknown(self, text):
        """The words of a text that are not in the vocabulary, each once."""
        unknown = (word for word in self.split(text) if self.normalize(word) not in self.numbers)
        return list(dict.fromkeys(unknown))

    def spell(self, words, least=1):
        """The characters of words, int32 `(words, characters)`, filled up with 0.

        A word's start and end have numbers of their own. `<unk>` is a word of the one
        unknown character, `<eos>` of a character that is reserved for it.

        Args:
            words: list of strings.
            least: int, characters to fill up to at least.
        """
        special = {END: [PERIOD], UNKNOWN: [OTHER]}
        rows = [
            [START, *(special.get(w) or [self._letter(c) for c in w]), STOP]
            for w in map(self.normalize, words)
        ]
        longest = max([least, *map(len, rows)])
        return np.array([row + [PAD] * (longest - len(row)) for row in rows], "int32").reshape(
            len(rows), longest
        )

    def _letter(self, character):
        return self.letters.get(character) or self.letters.get(character.lower(), OTHER)

    def detokenize(self, inputs):
        """The text of a sequence of numbers, or a list of such for several."""
        inputs = inputs if isinstance(inputs, list) else np.asarray(inputs)
        if len(inputs) and np.ndim(inputs[0]):
            return [self.detokenize(row) for row in inputs]
        text = " ".join(self.vocabulary[i] for i in inputs)
        return re.sub(rf" ?{END} ?", "\n", text)

    def get_vocabulary(self) -> list[str]:
        return list(self.vocabulary)

    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    def num_characters(self) -> int:
        """The number of characters, including the five special ones."""
        return PERIOD + 1 + len(self.characters)

    def id_to_token(self, id: int) -> str:
        return self.vocabulary[id]

    def token_to_id(self, token: str) -> int:
        return self.numbers[token]

    def save_assets(self, dir_path):
        """Writes `vocabulary.json`."""
        content = {"words": self.vocabulary, "characters": self.characters}
        text = json.dumps(content, ensure_ascii=False, indent=0)
        (Path(dir_path) / self.FILE).write_text(text, encoding="utf-8")

    def load_assets(self, dir_path):
        """Reads `vocabulary.json`."""
        content = json.loads((Path(dir_path) / self.FILE).read_text(encoding="utf-8"))
        self.set_vocabulary(content["words"], content["characters"])


def split_words(text: str) -> list[str]:
    """As `CharacterTokenizer.split`, the one way in which texts are divided."""
    *lines, rest = text.split("\n")  # of "\r\n" the rest is white space
    words = [word for line in lines for word in [*line.split(), END]]
    return words + rest.split()


def check_tokenizer(tokenizer, backbone, vocabulary_size):
    """Refuses a tokenizer with other numbers of words or characters than a network's."""
    for what, wanted, found in (
        ("words", vocabulary_size, tokenizer.vocabulary_size()),
        ("characters", backbone.num_characters, tokenizer.num_characters()),
    ):
        if wanted != found:
            raise checks.InputError(
                f"Expected a tokenizer of {wanted:,} {what}, as the network has. Received one of "
                f"{found:,}. It belongs to another network."
            )
