"""The report on a language model, next to what `next_words` says after each word."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.reporting.diagnosis import language
from tests.models.test_character_lm import TEXT, TINY
from tests.reporting.pages import read_rows

READ = "the zebra sat on the mat\nthe dog sat on N eggs\nthe cat\n"
WORDS = READ.replace("\n", " <eos> ").split()


@pytest.fixture(scope="module")
def model():
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    return models.character_lm(tokenizer=tokenizer, **TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text") / "text"
    folder.mkdir()
    (folder / "train.txt").write_text(11 * "the mat\n" + TEXT)
    (folder / "test.txt").write_text(READ)
    return folder


@pytest.fixture(scope="module")
def full(tmp_path_factory, model, folder):
    out = tmp_path_factory.mktemp("out") / "report"
    return out, ku.evaluate(model, folder, report=out)


@pytest.fixture(scope="module")
def expected(model):
    """For each word of the text its probability, and the likeliest word with its probability."""
    count = model.vocabulary_size
    rows = model.next_words(" ".join(WORDS[:-1]), top=count)
    known = set(model.preprocessor.tokenizer.numbers)
    found = []
    for word, row in zip(WORDS, rows, strict=True):
        p = {entry["word"]: entry["probability"] for entry in row["likeliest"]}
        best = row["likeliest"][0]
        target = word if word in known else "<unk>"
        found.append((p[target], best["word"], best["probability"], target))
    return found


def test_figures_are_those_of_the_next_words(full, expected):
    _, result = full
    p = np.array([row[0] for row in expected])
    right = np.array([row[1] == row[3] for row in expected])
    top = np.array([row[2] for row in expected])
    assert result["tokens"] == len(WORDS)
    assert result["unknown"] == 1  # zebra
    assert result["sentences"] == 3
    assert result["perplexity"] == pytest.approx(np.exp(-np.log(p).mean()), rel=1e-4)
    assert result["accuracy"] == right.mean()
    assert result["confidence"] == pytest.approx(top.mean(), rel=1e-4)
    bins = np.ceil(top * 15)
    error = sum(abs(right[bins == b].sum() - top[bins == b].sum()) for b in set(bins)) / len(p)
    assert result["calibration_error"] == pytest.approx(error, abs=1e-4)


def test_words_are_grouped_by_their_count_in_the_training_text(full, folder, expected):
    out, result = full
    words = (folder / "train.txt").read_text().replace("\n", " <eos> ").split()
    groups = {"1 to 9": [], "10 to 99": []}
    for p, _, _, target in expected:
        groups["10 to 99" if words.count(target) >= 10 else "1 to 9"].append((target, p))
    rows = read_rows(out / "frequencies.csv")
    assert [row["frequency"] for row in rows] == list(groups)
    for row, group in zip(rows, groups.values()):
        losses = -np.log([p for _, p in group])
        assert int(row["tokens"]) == len(group)
        assert int(row["words"]) == len({word for word, _ in group})
        assert float(row["perplexity"]) == pytest.approx(np.exp(losses.mean()), rel=1e-4)
    assert sum(float(row["share_of_loss"]) for row in rows) == pytest.approx(1)
    mean = sum(int(r["tokens"]) * np.log(float(r["perplexity"])) for r in rows) / len(WORDS)
    assert np.exp(mean) == pytest.approx(result["perplexity"], rel=1e-4)


def test_sentences_are_ranked_with_their_hardest_word(full, expected):
    rows = read_rows(full[0] / "sentences.csv")
    assert {row["line"] for row in rows[:2]} == {"1", "2"}
    assert rows[2]["line"] == "3"  # two words and an end: too few to rank
    assert float(rows[0]["perplexity"]) > float(rows[1]["perplexity"])
    starts = {"1": (0, 7), "2": (7, 14), "3": (14, 17)}
    for row in rows:
        start, stop = starts[row["line"]]
        p = np.array([p for p, *_ in expected[start:stop]])
        hardest = start + int(p.argmin())
        assert float(row["perplexity"]) == pytest.approx(np.exp(-np.log(p).mean()), rel=1e-4)
        assert row["hardest"] == WORDS[hardest]
        assert float(row["probability"]) == pytest.approx(p.min(), rel=1e-3)
        assert row["likeliest"] == expected[hardest][1]
        assert row["sentence"] == READ.splitlines()[int(row["line"]) - 1]


def test_page_is_well_formed_and_needs_nothing_else(full):
    out, result = full
    text = (out / "report.html").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text.split("\n", 1)[1])
    loaded = re.findall(r'(?:\ssrc|\shref|xlink:href)="([^"]*)"|url\(([^)]*)\)', text)
    assert all((a or b).startswith(("#", "data:")) for a, b in loaded)
    assert not re.search(r"<(script|link|iframe|object)\b|@import", text)
    words = " ".join(root.itertext())
    for part in ("the zebra sat on the mat", "counted in train.txt", f"{result['perplexity']:.2f}"):
        assert part in words, part
    summary = json.loads((out / "report.json").read_text())
    assert {key: summary[key] for key in result} == result
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("frequencies", "reliability") for kind in ("png", "svg")
    }


def test_bounds_of_frequencies_and_words_that_never_occur():
    counts = {"a": 9, "b": 10, "c": 10_000}
    table = language.tabulate_frequencies(
        ["a", "b", "c", "d"], np.log([2.0, 3.0, 4.0, 5.0]), np.array([1, 0, 1, 0], bool), counts
    )
    assert table["frequency"] == ["0", "1 to 9", "10 to 99", "10,000 or more"]
    assert table["perplexity"] == pytest.approx([5, 2, 3, 4])
    assert table["accuracy"] == [0, 1, 0, 1]


def test_text_without_an_end_is_a_sentence():
    rows = language.tabulate_sentences(
        ["a", "<eos>", "b", "c"], np.array([1.0, 1.0, 2.0, 3.0]), list("wxyz")
    )
    assert [(row["line"], row["sentence"], row["likeliest"]) for row in rows] == [
        (2, "b c", "z"),
        (1, "a", "w"),
    ]


def test_options_of_images_and_bad_folders_are_rejected(model, folder, tmp_path):
    cases = [
        ({"seed": 1}, "Received: seed"),
        ({"skip_broken": True}, "Received: skip_broken"),
        ({"calibrate_on": folder}, "Received: calibrate_on"),
        ({"report": folder / "report"}, "outside of the data"),
        ({"split": "valid"}, "Found none"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            ku.evaluate(model, folder, **{"report": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()
