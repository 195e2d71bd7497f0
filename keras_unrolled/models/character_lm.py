"""A language model that reads words through their characters."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_unrolled import checks
from keras_unrolled.models.character_backbone import CharacterBackbone, make_dropout
from keras_unrolled.models.character_tokenizer import END, CharacterTokenizer, check_tokenizer
from keras_unrolled.models.head_weights import HeadWeights
from keras_unrolled.models.limits import check_weight_count
from keras_unrolled.preset_names import Named

READ = 12_000  # characters that are read at once where many words are


@keras.saving.register_keras_serializable(package="keras_unrolled")
class CharacterLMPreprocessor(Named, keras_hub.models.CausalLMPreprocessor):
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
        texts = [tokenizer.to_string(text) for text in np.ravel(np.asarray(texts)).tolist()]
        if not texts:
            raise checks.InputError("Expected texts. Received none. Pass one.")
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
            words = (tokenizer.normalize(word) for word in row)
            ids[i, : len(row)] = [tokenizer.numbers.get(w, 1) for w in words]
            mask[i, : len(row)] = True
            characters[i, : len(row)] = spelled[at : at + len(row)]
            at += len(row)
        return {"token_ids": ids, "padding_mask": mask, "character_ids": characters}

    def call(self, x, y=None, sample_weight=None, sequence_length=None):
        length = sequence_length or self.sequence_length

        def pack(texts):
            packed = self._pack(texts, length + 1, end=True)
            ids, mask = packed["token_ids"][:, 1:], packed["padding_mask"][:, 1:]
            return packed["character_ids"][:, :-1], ids, mask

        # In `fit` a text is a tensor of a graph, whose content is known only when it runs.
        symbolic = hasattr(x, "graph") and not hasattr(x, "numpy")
        characters, ids, mask = _run_in_graph(pack, x, length) if symbolic else pack(x)
        return characters, ids, mask

    def generate_preprocess(self, x, sequence_length=None):
        return self._pack(x, sequence_length, end=False)

    def generate_postprocess(self, x):
        ids, mask = (ops.convert_to_numpy(x[k]) for k in ("token_ids", "padding_mask"))
        texts = [self.tokenizer.detokenize(row[m]) for row, m in zip(ids, mask.astype(bool))]
        return [text.strip("\n") for text in texts]


def _run_in_graph(pack, texts, length):
    """`pack` as an operation of a TensorFlow graph, on every backend."""
    import tensorflow as tf

    dtypes = (tf.int32, tf.int32, tf.bool)
    characters, ids, mask = tf.numpy_function(pack, [texts], dtypes, stateful=False)
    characters.set_shape((None, length, None))
    ids.set_shape((None, length))
    mask.set_shape((None, length))
    return characters, ids, mask


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

    task = "text-generation"
    backbone_cls = CharacterBackbone
    preprocessor_cls = CharacterLMPreprocessor

    def __init__(self, backbone, vocabulary_size, *, preprocessor=None, dropout=0.5, **kwargs):
        checks.check_names(kwargs, ("name", "trainable"), "CharacterLM")
        checks.whole("vocabulary_size", vocabulary_size, least=2, most=10**7)
        checks.real("dropout", dropout, least=0, most=1, below=True)
        check_weight_count(backbone.units * vocabulary_size, f"{vocabulary_size:,} words")
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

    def read_words(self, words: Sequence[str]) -> Any:
        """The first LSTM's `project` of a list of words, `(len(words), 4 * units)`.

        A word that occurs again is then looked up. Words of similar length are read together, so that a long
        one does not lengthen the others.
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

    def next_words(self, text: str, top: int = 5) -> list[dict[str, Any]]:
        """The likeliest next words after each word of a text.

        Args:
            text: string.
            top: int, how many words to name.

        Returns:
            A list of dicts: "after", a word of the text, `<eos>` before it, and "likeliest", a
            list of dicts "word" and "probability", best first.
        """
        tokenizer, top = self.preprocessor.tokenizer, checks.whole("top", top, least=1, most=10**6)
        words = [END, *tokenizer.split(tokenizer.to_string(text))]
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
