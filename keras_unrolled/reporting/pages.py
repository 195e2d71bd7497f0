"""The page of an analysis: an introduction, an experiment after the other, and how it was made."""

import re

from keras_unrolled import checks
from keras_unrolled.reporting.experiments import BY_NAME, SCHEDULE, UNLABELED
from keras_unrolled.reporting.html import Page
from keras_unrolled.reporting.measuring import PLANS
from keras_unrolled.reporting.schedule_findings import SMALL
from keras_unrolled.reporting.verdicts import AGAINST, FOR, NEITHER, sum_up

SIDES = {
    FOR: "For the iterative view",
    AGAINST: "Against the iterative view",
    NEITHER: "On neither side",
}


def write_page(path, name, inputs, found, findings, drawn, settings):
    """Writes the page of a report.

    Args:
        path: where it goes.
        name: string, the network's.
        inputs: `Inputs`.
        found: `Measured`.
        findings: dict from a measurement's name to a list of `Finding`.
        drawn: dict from a figure's name to an SVG.
        settings: dict of what the report states of its making.
    """
    what = "word" if inputs.labels is None and isinstance(inputs.values, list) else "image"
    what += "" if len(inputs) == 1 else "s"
    page = Page(
        f"What the blocks of {name} do",
        f"Measured on {len(inputs):,} {what} of {inputs.place}.",
    )
    _introduce(page, inputs, found, findings)
    for experiment in BY_NAME.values():
        if experiment.name in found.tables:
            _report(page, experiment, found, findings.get(experiment.name, []), drawn)
    if "prune" in found.tables:
        _report_pruning(page, found.tables["prune"])
    page.section("How this report was made", "settings")
    page.facts(settings, "Settings, data and versions.")
    _list_files(page, found, drawn)
    page.write(path)


def group_reasons(skipped: dict[str, str]) -> dict[str, str]:
    """The names that share a reason, joined by commas, by that reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    return {reason: ", ".join(names) for reason, names in reasons.items()}


def _introduce(page, inputs, found, findings):
    page.section("Summary", "summary")
    page.paragraph(
        "In the iterative view the blocks of a stage do not compute new features: they refine an estimate "
        "of the same ones (Greff, Srivastava & Schmidhuber 2017). Each experiment below can come out "
        "for it or against it."
    )
    intact = next((found.tables[n].rows[0] for n in PLANS if n in found.tables), None)
    if intact is not None and intact["accuracy"] is not None:
        page.paragraph(
            f"The network as it is answers {100 * intact['accuracy']:.1f}% of "
            f"{checks.count(intact['n'], 'image')} right; its mean cross-entropy is {intact['loss']:.3f}."
        )
    rows = [
        {
            "experiment": BY_NAME[name].title,
            "verdict": sum_up(f.verdict for f in sentences),
            "first finding": next((f.text for f in sentences if f.verdict != NEITHER), "none"),
        }
        for name, sentences in findings.items()
    ]
    page.table(rows, ("experiment", "verdict", "first finding"), "Verdicts on the view.", most=None)
    skipped = group_reasons({BY_NAME[name].title: why for name, why in found.skipped.items()})
    page.note("Not measured", [f"{names}: {reason}." for reason, names in skipped.items()])
    page.note("About the data", [f"{note}." for note in inputs.notes])
    page.heading("How to read it")
    page.paragraph(
        "A finding is for or against the view only where a whole 95% interval over the images is on one "
        f"side of a limit: {100 * SMALL:.0f} points of accuracy for a change that counts as small, 0 for a direction, 1 for "
        "the error of a constant guess, and so on, as each sentence says. Two numbers differ where their "
        "intervals do not overlap. Experiments are not corrected for their number, and findings of one "
        "network on one data set say nothing of others. Blocks are called 2.1 for the first block of "
        "stage 2."
    )


def _report(page, experiment, found, findings, drawn):
    """The section of one experiment."""
    table = found.tables[experiment.name]
    page.section(experiment.title, experiment.name)
    page.heading("Question")
    page.paragraph(experiment.question)
    page.heading("Method")
    page.paragraph(_without_labels(experiment.method, table))
    if experiment.name in drawn:
        page.figure(drawn[experiment.name], _caption(experiment, table))
    if experiment.name == "cka" and "cka_control" in drawn:
        page.figure(
            drawn["cka_control"],
            "Linear CKA of the blocks (rows) with those of the control (columns).",
        )
    page.heading("What it shows")
    for side, title in SIDES.items():
        page.note(title, [f.text for f in findings if f.verdict == side])
    if not findings:
        page.paragraph("There was nothing to measure.")
    page.table(table.rows, table.columns, f"The numbers, as in `{experiment.name}.csv`.")


def _caption(experiment, table):
    """A figure's caption, which promises only what the figure has."""
    text, rows = experiment.caption, table.rows
    if experiment.name in PLANS and rows[0]["accuracy"] is None:
        text = text.replace("Scores", "Answers that stay the same")
    if experiment.name == "geometry" and all(row["gradient_cosine"] is None for row in rows):
        text = "The length of F relative to its input, and the cosine of input and output."
    if "low" in table.columns and all(row["low"] is None for row in rows):
        text = re.sub(r",? with 95% intervals| \(95% intervals\)", "", text)
    return text


def _without_labels(method, table):
    """A method, of which without labels no accuracy is meant."""
    has_scores = "accuracy" in table.columns and table.rows
    if has_scores and table.rows[0]["accuracy"] is None:
        return method.replace(SCHEDULE, UNLABELED)
    return method


def _report_pruning(page, table):
    """The section of the preset with fewer blocks."""
    how = " with recalibrated batch statistics" if "recalibrated" in table["step"] else ""
    page.section("A network with fewer blocks", "prune")
    page.paragraph(
        "Blocks of one shape were ranked by how little they matter, and left out from the least on. The "
        f"folder `pruned` is the preset{how}, which `from_preset` loads; "
        "`finetuned`, if there is one, was trained further. Accuracy has the 95% interval of its change "
        "from the network as it is, paired over the images."
    )
    page.table(table.rows, table.columns, "The numbers, as in `prune.csv`.")


def _list_files(page, found, drawn):
    rows = [
        {"file": f"`{name}.csv`", "rows": len(table), "figure": _name_figure(name, drawn)}
        for name, table in found.tables.items()
    ]
    page.table(rows, ("file", "rows", "figure"), "Files next to this page.", most=None)


def _name_figure(name, drawn):
    return f"`figures/{name}.png`, `figures/{name}.svg`" if name in drawn else None
