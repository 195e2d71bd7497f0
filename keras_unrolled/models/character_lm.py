"""A language model that reads words through their characters, its tokenizer and builder."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.models.character_backbone import CharacterBackbone, make_dropout
from keras_unrolled.models.head_weights import HeadWeights
from keras_unrolled.models.image_backbone import refuse_excess

# Kim et al. 2016, table 2.
SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "character_dim": 15,
        "filter_widths": (1, 2, 3, 4, 5, 6),
        "num_filters": (25, 50, 75, 100, 125, 150),
        "num_layers": 1,
        "units": 300,
    },
    "large": {
        "character_dim": 15,
        "filter_widths": (1, 2, 3, 4, 5, 6, 7),
        "num_filters": (50, 100, 150, 200, 200, 200, 200),
        "num_layers": 2,
        "units": 650,
    },
}
END, UNKNOWN = "<eos>", "<unk>"
READ = 12_000  # characters that are read at once where many words are
# Characters' numbers: padding, start and end of a word, one that is not known, the end of a
# sentence, which is a word of that one character; then those of the text.
PAD, START, STOP, OTHER, PERIOD = range(5)


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterTokenizer(keras_hub.tokenizers.Tokenizer):
    """Words and their characters as numbers.

    Words are what white space divides; the end of a line is the word `<eos>`. What is not in
    the vocabulary has the number of `<unk>`, but characters of its own, so that it can be read.
    A word in capitals that is known without them is that word.

    Args:
        vocabulary: optional list of words, `<eos>` and `<unk>` first.
        characters: optional string of the known characters.

    Raises:
        InputError: for a vocabulary without the two, or with one word twice.
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
    def learn(cls, words):
        """A tokenizer for all of a list of words, the frequent ones first."""
        counts = Counter(words)
        for special in (END, UNKNOWN):
            counts.pop(special, None)
        order = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([END, UNKNOWN, *order], "".join(sorted(set("".join(order)))))

    def split(self, text):
        """The words of a text, with `<eos>` after each line but for what follows the last one."""
        *lines, rest = text.split("\n")
        words = [word for line in lines for word in [*line.split(), END]]
        return words + rest.split()

    def known(self, word):
        """The word as the vocabulary has it, else as it is."""
        lower = word.lower()
        return lower if word not in self.numbers and lower in self.numbers else word

    def tokenize(self, inputs):
        """Numbers of the words of a text, int32, or a list of such for a list of texts."""
        if not isinstance(inputs, str):
            return [self.tokenize(text) for text in inputs]
        words = (self.known(word) for word in self.split(inputs))
        return np.array([self.numbers.get(w, self.unknown_token_id) for w in words], "int32")

    def call(self, inputs, *args, training=None, **kwargs):
        return self.tokenize(inputs)

    def unknown(self, text):
        """The words of a text that are not in the vocabulary, each once."""
        found = (word for word in self.split(text) if self.known(word) not in self.numbers)
        return list(dict.fromkeys(found))

    def spell(self, words, least=1):
        """The characters of words, int32 `(words, characters)`, filled up with 0.

        A word's start and end have numbers of their own. `<unk>` is a word of the one
        character that is not known, `<eos>` of one of its own.

        Args:
            words: list of strings.
            least: int, characters to fill up to at least.
        """
        special = {END: [PERIOD], UNKNOWN: [OTHER]}
        rows = [
            [START, *(special.get(w) or [self._letter(c) for c in w]), STOP]
            for w in map(self.known, words)
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

    def get_vocabulary(self):
        return list(self.vocabulary)

    def vocabulary_size(self):
        return len(self.vocabulary)

    def num_characters(self):
        """How many numbers characters have, with the five that are none of the text's."""
        return PERIOD + 1 + len(self.characters)

    def id_to_token(self, id):
        return self.vocabulary[id]

    def token_to_id(self, token):
        return self.numbers[token]

    def save_assets(self, dir_path):
        """Writes `vocabulary.json`."""
        facts = {"words": self.vocabulary, "characters": self.characters}
        text = json.dumps(facts, ensure_ascii=False, indent=0)
        (Path(dir_path) / self.FILE).write_text(text, encoding="utf-8")

    def load_assets(self, dir_path):
        """Reads `vocabulary.json`."""
        facts = json.loads((Path(dir_path) / self.FILE).read_text(encoding="utf-8"))
        self.set_vocabulary(facts["words"], facts["characters"])


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterLMPreprocessor(keras_hub.models.CausalLMPreprocessor):
    """Texts to numbers of words and characters, for training and for `generate`.

    Args:
        tokenizer: a `CharacterTokenizer`.
        sequence_length: int, words of a sequence, with the `<eos>` that begins it.
    """

    backbone_cls = CharacterBackbone
    tokenizer_cls = CharacterTokenizer

    def build(self, input_shape):
        self.built = True

    def _pack(self, texts, length, end):
        tokenizer = self.tokenizer
        texts = [
            t.decode() if isinstance(t, bytes) else str(t) for t in np.ravel(np.asarray(texts))
        ]
        rows = [[END, *tokenizer.split(text), *([END] if end else [])] for text in texts]
        length = length or self.sequence_length
        longest = max(map(len, rows))
        if longest > length:
            raise checks.InputError(
                f"Expected at most {length} words, with the one that begins a text. Received "
                f"{longest}. Raise max_length (or sequence_length), or shorten the text."
            )
        # Not filled up with <eos>, which would end a text that has not begun.
        ids = np.full((len(rows), length), tokenizer.unknown_token_id, "int32")
        mask = np.zeros((len(rows), length), bool)
        spelled = tokenizer.spell([word for row in rows for word in row])
        characters = np.zeros((len(rows), length, spelled.shape[-1]), "int32")
        at = 0
        for i, row in enumerate(rows):
            words = (tokenizer.known(word) for word in row)
            ids[i, : len(row)] = [tokenizer.numbers.get(w, 1) for w in words]
            mask[i, : len(row)] = True
            characters[i, : len(row)] = spelled[at : at + len(row)]
            at += len(row)
        return {"token_ids": ids, "padding_mask": mask, "character_ids": characters}

    def call(self, x, y=None, sample_weight=None, sequence_length=None):
        packed = self._pack(x, (sequence_length or self.sequence_length) + 1, end=True)
        x = {"character_ids": packed["character_ids"][:, :-1]}
        return x, packed["token_ids"][:, 1:], packed["padding_mask"][:, 1:]

    def generate_preprocess(self, x, sequence_length=None):
        return self._pack(x, sequence_length, end=False)

    def generate_postprocess(self, x):
        ids, mask = (ops.convert_to_numpy(x[k]) for k in ("token_ids", "padding_mask"))
        texts = [self.tokenizer.detokenize(row[m]) for row, m in zip(ids, mask.astype(bool))]
        return [text.strip("\n") for text in texts]


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterLM(HeadWeights, keras_hub.models.CausalLM):
    """A `CharacterBackbone` and a dense layer to the vocabulary: the next word's logits.

    Args:
        backbone: a `CharacterBackbone`.
        vocabulary_size: int.
        preprocessor: optional `CharacterLMPreprocessor`; `generate` needs it.
        dropout: float in [0, 1), before the dense layer (0.5, Kim et al. 2016, section 4).

    Input: as the backbone's. Output: logits, in the variables' dtype, `(batch, words, vocabulary_size)`.

    Raises:
        InputError: for an unknown argument, or a tokenizer of another size.
    """

    backbone_cls = CharacterBackbone
    preprocessor_cls = CharacterLMPreprocessor

    def __init__(self, backbone, vocabulary_size, *, preprocessor=None, dropout=0.5, **kwargs):
        checks.known(kwargs, ("name", "trainable"), "CharacterLM")
        checks.whole("vocabulary_size", vocabulary_size, least=2, most=10**7)
        checks.real("dropout", dropout, least=0, most=1, below=True)
        refuse_excess(backbone.units * vocabulary_size, f"{vocabulary_size:,} words")
        tokenizer = getattr(preprocessor, "tokenizer", None)
        if tokenizer is not None and tokenizer.vocabulary is not None:
            check_tokenizer(tokenizer, backbone, vocabulary_size)

        # === Layers ===
        dtype = backbone.dtype_policy
        self.backbone, self.preprocessor = backbone, preprocessor
        self.drop = make_dropout(dropout, backbone.variational, dtype, "dropout")
        limit = backbone.initial_range
        self.next_word = keras.layers.Dense(
            vocabulary_size,
            kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
            bias_initializer=keras.initializers.RandomUniform(-limit, limit),
            dtype=dtype,
            name="next_word",
        )

        # === Functional Model ===
        logits = self.next_word(self.drop(backbone.output))
        super().__init__(
            inputs=backbone.input,
            outputs=ops.cast(logits, dtype.variable_dtype),
            **{"name": "lm", **kwargs},
        )

        # === Config ===
        self.vocabulary_size, self.dropout = vocabulary_size, dropout
        self.generate_function: Any = None

    def score(self, hidden, training=None):
        """Logits, in the variables' dtype, of outputs of the backbone."""
        logits = self.next_word(self.drop(hidden, training=training))
        return ops.cast(logits, self.backbone.dtype_policy.variable_dtype)

    def compile(self, *args, jit_compile=None, **kwargs):
        """As KerasHub's, but without XLA on TensorFlow's CPU, where it is slower."""
        if jit_compile is None:
            jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
        super().compile(*args, jit_compile=jit_compile, **kwargs)

    def read_words(self, words):
        """What the first LSTM's `project` gives for a list of words, `(len(words), 4 * units)`.

        To read a word again is to look it up, then. Words of like length are read together, so that a long one does not lengthen all.
        """
        tokenizer = self.preprocessor.tokenizer
        order = sorted(range(len(words)), key=lambda i: len(words[i]))
        parts, at = [], 0
        while at < len(order):
            longest = len(words[order[min(at + READ // 12, len(order)) - 1]])
            chosen = order[at : at + max(1, READ // (longest + 2))]
            at += len(chosen)
            spelled = tokenizer.spell([words[i] for i in chosen])
            vectors = self.backbone.lstms[0].project(self.backbone.read(spelled, training=False))
            parts.append(ops.convert_to_numpy(ops.cast(vectors, "float32")))
        table = np.concatenate(parts)
        table[order] = table.copy()
        return table

    def read_vocabulary(self):
        """`read_words` of the whole vocabulary."""
        return self.read_words(self.preprocessor.tokenizer.vocabulary)

    def next_words(self, text, top=5):
        """The likeliest next words after each word of a text.

        Args:
            text: string.
            top: int, how many words to name.

        Returns:
            A list of dicts: "after", a word of the text, `<eos>` before it, and "likeliest", a
            list of dicts "word" and "probability", best first.
        """
        tokenizer = self.preprocessor.tokenizer
        words = [END, *tokenizer.split(text)]
        logits = self(tokenizer.spell(words)[None], training=False)[0]
        p = ops.convert_to_numpy(ops.softmax(ops.cast(logits, "float32"), axis=-1))
        order = np.argsort(-p, axis=-1, kind="stable")[:, :top]
        return [
            {
                "after": word,
                "likeliest": [
                    {"word": tokenizer.id_to_token(int(i)), "probability": float(row[i])}
                    for i in best
                ],
            }
            for word, row, best in zip(words, p, order)
        ]

    def make_generate_function(self):
        if self.generate_function is None:
            step = super().make_generate_function()
            readers = (*self.backbone.encoder.weights, *self.backbone.lstms[0].weights)
            weights, vectors = [], None

            def generate(inputs, stop_token_ids=None):
                nonlocal weights, vectors
                # Copies, as torch's arrays change with its variables.
                now = [np.array(ops.convert_to_numpy(w)) for w in readers]
                if vectors is None or not all(map(np.array_equal, weights, now)):
                    weights, vectors = now, ops.convert_to_tensor(self.read_vocabulary())
                inputs = {k: ops.convert_to_tensor(v) for k, v in inputs.items()}
                return step({**inputs, "vectors": vectors}, stop_token_ids)

            self.generate_function = generate
        return self.generate_function

    def generate_step(self, inputs, stop_token_ids=None):
        """Goes on with a batch of texts, each word by the sampler.

        The state of the LSTMs is the cache: `(batch, 2 * LSTMs, units)`. Words of a prompt are read
        through their own characters, all others are looked up.

        Args:
            inputs: dict of what the preprocessor's `generate_preprocess` gives, and "vectors", as
                `read_vocabulary` gives it.
            stop_token_ids: optional, words after which a text ends.

        Returns:
            A dict: "token_ids" and "padding_mask".
        """
        ids, mask = inputs["token_ids"], ops.cast(inputs["padding_mask"], "bool")
        table = inputs["vectors"]
        prompt = self.backbone.lstms[0].project(self.backbone.read(inputs["character_ids"]))
        prompt = ops.cast(prompt, table.dtype)
        batch, numbers = ops.shape(ids)[0], range(len(self.backbone.lstms))

        def advance(vectors, cache):
            state = [[cache[:, 2 * i], cache[:, 2 * i + 1]] for i in numbers]
            hidden, after = self.backbone.recur(
                vectors[:, None], state, training=False, projected=True
            )
            return hidden[:, 0], ops.stack([t for pair in after for t in pair], axis=1)

        def read(tokens, index):
            # A beam holds several texts for each prompt.
            beams = ops.shape(tokens)[0] // batch
            given = ops.repeat(ops.take(mask, index, axis=1), beams, axis=0)
            own = ops.repeat(ops.take(prompt, index, axis=1), beams, axis=0)
            return ops.where(given[:, None], own, ops.take(table, tokens[:, index], axis=0))

        def next(tokens, cache, index):
            hidden, cache = advance(read(tokens, index - 1), cache)
            return self.score(hidden, training=False), hidden, cache

        # What all prompts have before their last word is read at once.
        start = ops.min(ops.sum(ops.cast(mask, "int32"), axis=-1))
        dtype = self.backbone.lstms[0].state_dtype
        cache = ops.zeros((batch, 2 * len(numbers), self.backbone.units), dtype)
        _, cache = ops.while_loop(
            lambda i, cache: i < start - 1,
            lambda i, cache: (i + 1, advance(read(ids, i), cache)[1]),
            (ops.zeros((), "int32"), cache),
        )
        ids = self.sampler(
            next=next,
            prompt=ids,
            cache=cache,
            index=start,
            mask=mask,
            stop_token_ids=stop_token_ids,
            model=self,
        )
        known = ops.ones_like(mask)
        if stop_token_ids is not None:
            ends = [ops.equal(ids, stop) for stop in stop_token_ids]
            end = ops.cast(ops.any(ops.stack(ends), axis=0) & ~mask, "int32")
            # With the word that ends it, a text is over.
            known = ops.cumsum(end, axis=-1) - end < 1
        return {"token_ids": ids, "padding_mask": known}

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "dropout": self.dropout,
        }


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


def character_lm(size="small", *, gating="coupled", tokenizer=None, dropout=0.5, **options):
    """A character-aware language model (Kim et al. 2016) with any gated layer.

    Small has 5,312,515 parameters and Large 19,373,165, with 51 characters and 10,000 words and
    with two biases an LSTM; `two_biases=False` takes 2,400 and 5,200 off.

    Args:
        size: "small" or "large".
        gating: "none" for no layer between convolutions and LSTM, or as in `Highway`. A Residual net
            has twice as many layers, so that it has a coupled one's parameters (Greff et al. 2017,
            section 5.2).
        tokenizer: optional `CharacterTokenizer`, which gives the numbers of words and characters;
            else `vocabulary_size` (10,000) and `num_characters` (51) do.
        dropout: float in [0, 1), before each LSTM but the first and before the dense layer.
        **options: arguments of `CharacterBackbone`, and `name`.

    Returns:
        A `CharacterLM` with random weights.

    Raises:
        InputError: for an unknown size or option.
    """
    facts = dict(SIZES[checks.one_of("size", size, SIZES)])
    if gating == "none":
        gating, facts["num_layers"] = "coupled", 0
    elif gating == "residual":
        facts["num_layers"] *= 2
    words = options.pop("vocabulary_size", 10_000)
    facts |= {"num_characters": 51, "gating": gating, "dropout": dropout, **options}
    name = facts.pop("name", "lm")
    preprocessor = None
    if tokenizer is not None:
        words, facts["num_characters"] = tokenizer.vocabulary_size(), tokenizer.num_characters()
        preprocessor = CharacterLMPreprocessor(tokenizer, sequence_length=200)
    backbone = CharacterBackbone(**facts)
    return CharacterLM(backbone, words, preprocessor=preprocessor, dropout=dropout, name=name)
