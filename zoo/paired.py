"""Answers of presets to the same test examples, and what tells the presets apart."""

import itertools

import numpy as np

from keras_unrolled import data, evaluation
from keras_unrolled.evaluation import comparison
from keras_unrolled.models.character_tokenizer import END
from keras_unrolled.presets.loading import from_preset


def answer(dataset, presets, tfds, ptb):
    """What each preset has right, or its loss on each word.

    Args:
        dataset: "cifar10" or "ptb".
        presets: list of names and folders.
        tfds: TFDS's data directory.
        ptb: folder of Penn Treebank's test.txt.

    Returns:
        A dict from a preset to a bool array `(images,)`, or a float array `(words,)`; and None,
        or which words end a sentence.
    """
    if dataset == "cifar10":
        test = data.load_cifar10(tfds, "test")
        answers = {}
        for preset in presets:
            scores = evaluation.predict(from_preset(preset), test.images, progress=preset)
            answers[preset] = np.argmax(scores, -1) == test.labels
        return answers, None
    words = data.read_words(ptb, "test")
    answers = {
        preset: evaluation.text_losses(from_preset(preset), words, progress=preset)
        for preset in presets
    }
    return answers, np.array(words) == END


def compare(answers, ends):
    """What tells every ordered pair of presets apart.

    Args:
        answers: dict of arrays, as `answer` returns it.
        ends: None, or which words end a sentence.

    Returns:
        A dict from a pair of names to a row of `evaluation.comparison`, with "effect" above 0 if
        the first is better.
    """
    rows = {}
    for first, second in itertools.permutations(answers, 2):
        if ends is None:
            row = comparison.compare_answers(answers[first], answers[second])
            row["effect"] = row["difference"]
        else:
            row = comparison.compare_losses(answers[first], answers[second], ends)
            row["effect"] = -np.log(row["ratio"])
        rows[first, second] = row
    return rows
