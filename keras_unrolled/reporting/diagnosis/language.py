"""What a language model finds hard in a text, and how sure it is of the next word."""

import collections
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_unrolled import checks, data
from keras_unrolled.analysis.table import Table
from keras_unrolled.evaluation.calibration import bin_confidence, sum_gaps
from keras_unrolled.evaluation.perplexity import read_text
from keras_unrolled.models.character_tokenizer import END, UNKNOWN

BOUNDS = (0, 1, 10, 100, 1_000, 10_000)  # occurrences, from which a row of frequencies begins
FEWEST = 5  # words of a sentence that is ranked, with its end; shorter ones are hard by chance
TRAIN = "train"  # the part of a text that its words are counted in


@dataclass
class TextFindings:
    """What was found of a language model on a text.

    Args:
        name: string, the model's.
        split: string, which part of the text.
        result: dict, the figures; see `diagnose_text`.
        counted_in: string, in which text the words were counted.
        tables: dict from a CSV's name without its suffix to its `Table`: "frequencies", "sentences",
            "reliability".
    """

    name: str
    split: str
    result: dict[str, Any]
    counted_in: str
    tables: dict[str, Table]


def diagnose_text(
    model: Any,
    name: str,
    folder: str | Path,
    *,
    split: str = "test",
    limit: int | None = None,
    batch_size: int = 1,
) -> TextFindings:
    """Reads a text once, and looks at the loss of each word and at the likeliest one.

    Args:
        model: a `CharacterLM` with a preprocessor.
        name: string, the model's.
        folder: path of the text's folder. Words are counted in its train.txt if there is one, else in the
            text that is read.
        split: string, the file to read.
        limit: optional int, how many words to read.
        batch_size: int, parts of the text that are read in parallel.

    Returns:
        `TextFindings`. Its result is a dict: "split", "tokens", "perplexity", "unknown", "sentences",
        "accuracy", how often the likeliest word is the next one, "confidence", its mean probability, and
        "calibration_error", of that word.
    """
    words = data.read_words(folder, split)[:limit]
    tokenizer = model.preprocessor.tokenizer
    targets = [_name_target(tokenizer, word) for word in words]
    losses, answers, log_p = read_text(
        model, words, batch_size=batch_size, progress=name, answers=True
    )
    counts, counted_in = _count_words(folder, targets, tokenizer, split)
    right = answers == [tokenizer.numbers[word] for word in targets]
    confidence = np.exp(log_p)
    bins = bin_confidence(confidence, right)
    likeliest = [tokenizer.id_to_token(int(number)) for number in answers]
    sentences = tabulate_sentences(words, losses, likeliest)
    result = {
        "split": split,
        "tokens": len(words),
        "perplexity": float(np.exp(losses.mean())),
        "unknown": sum(t == UNKNOWN and w != UNKNOWN for t, w in zip(targets, words)),
        "sentences": len(sentences),
        "accuracy": float(right.mean()),
        "confidence": float(confidence.mean()),
        "calibration_error": sum_gaps(bins),
    }
    tables = {
        "frequencies": tabulate_frequencies(targets, losses, right, counts),
        "sentences": sentences,
        "reliability": Table(bins),
    }
    return TextFindings(name, split, result, counted_in, tables)


def _name_target(tokenizer, word):
    """The word of the vocabulary that is predicted for a word of a text."""
    word = tokenizer.normalize(word)
    return word if word in tokenizer.numbers else UNKNOWN


def _count_words(folder, targets, tokenizer, split):
    """Occurrences of each word, and in which text."""
    if (checks.expand(str(folder)) / f"{TRAIN}.txt").is_file():
        words = data.read_words(folder, TRAIN)
        return collections.Counter(_name_target(tokenizer, word) for word in words), f"{TRAIN}.txt"
    return collections.Counter(targets), f"the text itself, {split}.txt"


def tabulate_frequencies(
    targets: list[str], losses: np.ndarray, right: np.ndarray, counts: dict[str, int]
) -> Table:
    """Perplexity by how often a word occurs.

    Args:
        targets: list of n words.
        losses: float array `(n,)`, in nats.
        right: bool array `(n,)`, whether the likeliest word was the target.
        counts: dict from a word to how often it occurs; others never do.

    Returns:
        A `Table` with "frequency", as in "10 to 99", "tokens" of the text, "words", the different ones,
        "perplexity", "accuracy", and "share_of_loss", of the sum of all losses; rows without tokens are
        left out.
    """
    occurrences = np.array([counts.get(word, 0) for word in targets])
    numbers = np.searchsorted(BOUNDS, occurrences, side="right") - 1
    rows = []
    for number, least in enumerate(BOUNDS):
        inside = numbers == number
        if not inside.any():
            continue
        last = number + 1 == len(BOUNDS)
        most = None if last else BOUNDS[number + 1] - 1
        span = f"{least:,} or more" if last else f"{least:,} to {most:,}" if most else "0"
        rows.append(
            {
                "frequency": span,
                "tokens": int(inside.sum()),
                "words": len({targets[i] for i in np.flatnonzero(inside)}),
                "perplexity": float(np.exp(losses[inside].mean())),
                "accuracy": float(right[inside].mean()),
                "share_of_loss": float(losses[inside].sum() / losses.sum()),
            }
        )
    return Table(rows)


def tabulate_sentences(words: list[str], losses: np.ndarray, likeliest: list[str]) -> Table:
    """The sentences of a text, the hardest first and those of fewer than five words last.

    Args:
        words: list of n words, with `<eos>` after each sentence.
        losses: float array `(n,)`, in nats.
        likeliest: list of n words, what the model found likeliest in their places.

    Returns:
        A `Table` with "line" of the text, from 1, "words", with the end, "perplexity", "hardest", the word
        with the highest loss, "probability" of it, "likeliest", what the model would have written there,
        and "sentence".
    """
    rows: list[dict[str, Any]] = []
    start = 0
    ends = [i + 1 for i, word in enumerate(words) if word == END]
    for stop in [*ends, *([len(words)] if not ends or ends[-1] < len(words) else [])]:
        some = losses[start:stop]
        hardest = start + int(some.argmax())
        text = words[start:stop]
        rows.append(
            {
                "line": len(rows) + 1,
                "words": stop - start,
                "perplexity": float(np.exp(some.mean())),
                "hardest": words[hardest],
                "probability": float(np.exp(-losses[hardest])),
                "likeliest": likeliest[hardest],
                "sentence": " ".join(text[:-1] if text[-1] == END else text),
            }
        )
        start = stop
    return Table(sorted(rows, key=lambda row: (row["words"] < FEWEST, -row["perplexity"])))
