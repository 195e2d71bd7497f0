"""Perplexity of a language model, with its state carried from word to word."""

from typing import Any

import keras
import numpy as np

from keras_unrolled import checks
from keras_unrolled import progress as bars
from keras_unrolled.models.character_tokenizer import END, UNKNOWN

AT_ONCE = 1_400  # words whose logits are computed at once: more would leave the caches


def perplexity(model: Any, words: list[str], **options: Any) -> dict[str, Any]:
    """Perplexity of a language model on a text, its state carried from word to word.

    Args:
        model: as of `text_losses`.
        words: as of `text_losses`.
        **options: as of `text_losses`.

    Returns:
        A dict: "tokens", "perplexity", and "unknown", how many words count as `<unk>` that are not
        written so.

    Example:
        >>> import keras_unrolled as ku
        >>> words = "the company said it will sell its unit <eos>".split()
        >>> tokenizer = ku.models.CharacterTokenizer.learn(words)
        >>> model = ku.models.character_lm(tokenizer=tokenizer)  # not trained
        >>> ku.evaluation.perplexity(model, words)["tokens"]
        9
    """
    words = model.preprocessor.tokenizer.check_words(words)
    losses, tokenizer = text_losses(model, words, **options), model.preprocessor.tokenizer
    unknown = sum(tokenizer.normalize(w) not in tokenizer.numbers and w != UNKNOWN for w in words)
    return {
        "tokens": len(words),
        "perplexity": float(np.exp(losses.mean())),
        "unknown": unknown,
    }


def text_losses(
    model: Any,
    words: list[str],
    *,
    batch_size: int = 1,
    length: int | None = None,
    progress: str | None = None,
) -> np.ndarray:
    """Negative logarithm of the probability of each word of a text, given all before it.

    Each word is predicted once, the first one after `<eos>`. A word that is not in the vocabulary
    counts as `<unk>` where it is predicted, and is read through its characters.

    Args:
        model: a `CharacterLM` with a preprocessor.
        words: list of strings, as `CharacterTokenizer.split` gives them.
        batch_size: int. With 1 the text is read from end to end; with more it is cut into as many
            parts, side by side, each of which starts without memory.
        length: optional int, words a step of each part; the result does not depend on it.
        progress: optional string, the title of a progress bar on standard error.

    Returns:
        float64 array `(len(words),)`, in nats.

    Raises:
        InputError: for a text without words, and for what is not divided into words.

    Example:
        >>> import keras_unrolled as ku
        >>> words = "a cat saw a dog <eos>".split()
        >>> tokenizer = ku.models.CharacterTokenizer.learn(words)
        >>> model = ku.models.character_lm(tokenizer=tokenizer)  # not trained
        >>> ku.evaluation.text_losses(model, words).shape
        (6,)
    """
    return read_text(model, words, batch_size=batch_size, length=length, progress=progress)[0]


def read_text(
    model: Any,
    words: list[str],
    *,
    batch_size: int = 1,
    length: int | None = None,
    progress: str | None = None,
    answers: bool = False,
) -> tuple[np.ndarray, ...]:
    """As `text_losses`, and on request what the model would have written.

    Args:
        model, words, batch_size, length, progress: as of `text_losses`.
        answers: bool, whether to return the likeliest words, too, which takes a little longer.

    Returns:
        A tuple of the losses, float64 `(len(words),)`; with `answers` also of the numbers of the likeliest
        words, float64 `(len(words),)`, and of the logarithms of their probabilities, of the same kind.
    """
    checks.whole("batch_size", batch_size, least=1, most=10**6)
    tokenizer, backbone = model.preprocessor.tokenizer, model.backbone
    words = tokenizer.check_words(words)
    words = [tokenizer.normalize(word) for word in words]
    numbers = [tokenizer.numbers.get(w, tokenizer.unknown_token_id) for w in words]
    numbers = np.array(numbers, "int32")
    # Every distinct word is read once.
    distinct = sorted({END, *words})
    table = model.read_words(distinct)
    rows = {word: i for i, word in enumerate(distinct)}
    inputs = np.array([rows[word] for word in (END, *words[:-1])])
    batch_size = min(batch_size, len(words))
    length = length or min(64, max(1, AT_ONCE // batch_size))
    each = -(-len(words) // batch_size)
    padded = -(-each // length) * length  # steps of one length, the rest of which does not count
    grid = np.arange(batch_size)[:, None] * each + np.arange(padded)
    real = (np.arange(padded) < each) & (grid < len(words))
    grid = np.minimum(grid, len(words) - 1)
    shape = model, batch_size, length, table.shape[-1]
    step, careful = _language_step(*shape, answers=answers), None
    state = [np.zeros((batch_size, lstm.units), "float32") for lstm in backbone.lstms for _ in "hc"]
    found = [np.empty(len(words)) for _ in range(3 if answers else 1)]
    bar = bars.progress(
        range(0, padded, length),
        description=progress,
        unit="words",
        unit_scale=batch_size * length,
        hidden=progress is None,
    )
    for start in bar:
        part, counts = (x[:, start : start + length] for x in (grid, real))
        batch = [table[inputs[part]], numbers[part], *state]
        outputs = step.predict_on_batch(batch)
        if not np.isfinite(outputs[0]).all():
            careful = careful or _language_step(*shape, careful=True, answers=answers)
            outputs = careful.predict_on_batch(batch)
        state = outputs[len(found) :]
        for values, some in zip(found, outputs):
            values[part[counts]] = some[counts]
    return tuple(found)


def word_losses(logits: Any, targets: Any, careful: bool = False) -> Any:
    """Softmax cross-entropy `(...)` of logits `(..., words)`.

    Faster than TensorFlow's, which also computes its gradient. Unless `careful` the largest logit is
    not subtracted first, which halves the time: a loss is not finite if a logit is above 88, or all
    are below -87.

    Example:
        >>> import keras
        >>> import keras_unrolled as ku
        >>> losses = ku.evaluation.word_losses(keras.ops.zeros((1, 4)), keras.ops.array([2]))
        >>> round(float(losses[0]), 4)  # log(4)
        1.3863
    """
    right = keras.ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    if careful:
        return keras.ops.logsumexp(logits, axis=-1) - right
    return keras.ops.log(keras.ops.sum(keras.ops.exp(logits), axis=-1)) - right


def _language_step(model, batch_size, length, features, careful=False, answers=False):
    """Words as `read_words` gives them, targets and state in; losses, answers and state out."""
    backbone = model.backbone
    vectors = keras.Input(batch_shape=(batch_size, length, features), dtype="float32")
    targets = keras.Input(batch_shape=(batch_size, length), dtype="int32")
    state = [
        [keras.Input(batch_shape=(batch_size, lstm.units), dtype="float32") for _ in range(2)]
        for lstm in backbone.lstms
    ]
    hidden, after = backbone.recur(vectors, state, training=False, projected=True)
    logits = model.score(hidden, training=False)
    losses = word_losses(logits, targets, careful)
    outputs = [losses]
    if answers:
        right = keras.ops.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        outputs.append(keras.ops.argmax(logits, axis=-1))
        outputs.append(keras.ops.max(logits, axis=-1) - right - losses)
    flat = [t for pair in state for t in pair]
    step = keras.Model([vectors, targets, *flat], [*outputs, *(t for pair in after for t in pair)])
    step.compile(jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    return step
