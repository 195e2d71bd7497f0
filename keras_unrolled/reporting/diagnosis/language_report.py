"""The report on a language model: tables, figures and a page, in one folder."""

import json
import time
from pathlib import Path
from typing import Any

from keras_unrolled import checks, files
from keras_unrolled.evaluation.calibration import BINS
from keras_unrolled.reporting.analysis import FIGURES, PAGE, SUMMARY
from keras_unrolled.reporting.diagnosis import figures
from keras_unrolled.reporting.diagnosis.language import FEWEST, TextFindings
from keras_unrolled.reporting.diagnosis.report import KIND, describe_making
from keras_unrolled.reporting.html import Page

WORST = 24  # sentences


def write_text_report(
    out: Path, found: TextFindings, settings: dict[str, Any], began: float
) -> dict[str, Any]:
    """Writes a report; its folder appears complete or not at all.

    Args:
        out: path, as `report.check_target` gives it.
        found: `TextFindings`.
        settings: dict of what else the report states of its making.
        began: float, the `time.perf_counter` at the start.

    Returns:
        "preset", the result of `diagnose_text`, "out", "report", the path of the page, and "seconds".

    Raises:
        InputError: if it cannot be written.
    """
    result = {"preset": found.name, **found.result, "out": str(out), "report": str(out / PAGE)}
    settings = {
        "model": found.name,
        "part": found.split,
        "words counted in": found.counted_in,
        **describe_making(),
        **settings,
    }
    with files.written_aside(out) as aside:
        for name, table in found.tables.items():
            table.to_csv(aside / f"{name}.csv")
        (aside / FIGURES).mkdir()
        drawn = {}
        plots = {"frequencies": figures.plot_frequencies, "reliability": figures.plot_reliability}
        for name, plot in plots.items():
            plot(found.tables[name].rows, aside / FIGURES / f"{name}.png")
            svg = plot(found.tables[name].rows, aside / FIGURES / f"{name}.svg")
            drawn[name] = svg.read_text(encoding="utf-8")
        result["seconds"] = round(time.perf_counter() - began, 1)
        summary = {"kind": KIND, **result, "settings": settings}
        files.write_text(aside / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
        _make_page(found, result, drawn, settings).write(aside / PAGE)
    return result


def _make_page(found, result, drawn, settings):
    page = Page(
        f"How well {found.name} predicts the next word",
        f"Measured on {checks.count(result['tokens'], 'word')} of {found.split}.txt.",
    )
    page.section("Summary", "summary")
    page.paragraph(
        "The text is read from its first word to its last, and each word is predicted from all before it. "
        "Perplexity is the exponential of the mean of the negative logarithms of their probabilities: that of "
        "a choice among so many equally likely words."
    )
    facts = {
        "perplexity": f"{result['perplexity']:.2f}",
        "words, with the ends of sentences": f"{result['tokens']:,}",
        "sentences": f"{result['sentences']:,}",
        "not in the vocabulary, predicted as <unk>": f"{result['unknown']:,}",
        "the likeliest word is the next one": f"{result['accuracy']:.2%}",
        "mean probability of the likeliest word": f"{result['confidence']:.2%}",
        "expected calibration error": f"{result['calibration_error']:.2%}",
    }
    page.facts(facts, "The figures at a glance.")
    _report_frequencies(page, found, drawn)
    _report_sentences(page, found)
    _report_calibration(page, found, drawn)
    page.section("How this report was made", "settings")
    page.facts(settings, "Settings, data and versions.")
    rows = [f"`{name}.csv`: {checks.count(len(t), 'row')}" for name, t in found.tables.items()]
    rows += [f"`figures/{name}.png` and `figures/{name}.svg`" for name in drawn]
    page.note("Files next to this page", [*rows, "`report.json`: the figures and settings"])
    return page


def _report_frequencies(page, found, drawn):
    page.section("By the frequency of words", "frequencies")
    page.paragraph(
        f"How often a word occurs was counted in {found.counted_in}. A word that is not in the vocabulary counts "
        "as `<unk>`. The share of the loss tells how much of the perplexity is due to a row: the mean of the "
        "logarithms of the perplexities, weighted by the tokens, is that of the whole text."
    )
    table = found.tables["frequencies"]
    page.figure(drawn["frequencies"], "Perplexity, and share of the text, by occurrences.")
    page.table(table.rows, table.columns, "The numbers, as in `frequencies.csv`.")


def _report_sentences(page, found):
    page.section("Worst sentences", "sentences")
    page.paragraph(
        f"The sentences of {FEWEST} words or more, with their end, that have the highest perplexity, and the word in "
        "each that was least expected. They may be garbled, of another kind than the training text, or "
        "full of rare names."
    )
    table = found.tables["sentences"]
    rows = [
        {**row, "sentence": row["sentence"].replace("`", "'")}
        for row in table.rows
        if row["words"] >= FEWEST
    ]
    page.table(rows, table.columns, "The hardest sentences, as in `sentences.csv`.", WORST)


def _report_calibration(page, found, drawn):
    page.section("Calibration of the next word", "calibration")
    page.paragraph(
        "Of the words that a calibrated model finds likeliest with a probability of 80%, 80% are the next "
        f"one. The expected calibration error puts the words into {BINS} bins of equal width by the probability "
        "of the likeliest one, and is the mean distance of a bin's accuracy from its mean confidence, "
        "weighted by the words in it (Guo et al. 2017). Intervals take words as independent, which they are not."
    )
    page.figure(
        drawn["reliability"],
        "Reliability diagram: accuracy over confidence in each bin with its 95% interval, and the share of "
        "the words in it. Below the diagonal the model is too sure.",
    )
    table = found.tables["reliability"]
    page.table(table.rows, table.columns, "The numbers, as in `reliability.csv`.")
