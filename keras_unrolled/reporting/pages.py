"""The page of an analysis: an introduction, an experiment after the other, and how it was made."""

from keras_unrolled.reporting.experiments import BY_NAME
from keras_unrolled.reporting.html import Page
from keras_unrolled.reporting.measuring import PLANS
from keras_unrolled.reporting.schedule_findings import SMALL
from keras_unrolled.reporting.verdicts import AGAINST, FOR, NEITHER

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
    what = "words" if inputs.labels is None and isinstance(inputs.values, list) else "images"
    page = Page(
        f"What the blocks of {name} do",
        f"Measured on {len(inputs):,} {what} of {inputs.dataset} ({inputs.split}).",
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
            f"The network as it is answers {intact['accuracy']:.1%} of {intact['n']:,} images right; its mean "
            f"cross-entropy is {intact['loss']:.3f}."
        )
    rows = [
        {
            "experiment": BY_NAME[name].title,
            **{side: sum(f.verdict == side for f in sentences) for side in SIDES},
            "first finding": next((f.text for f in sentences if f.verdict != NEITHER), "none"),
        }
        for name, sentences in findings.items()
    ]
    page.table(rows, ("experiment", *SIDES, "first finding"), "Findings on each side.", most=None)
    skipped = group_reasons({BY_NAME[name].title: why for name, why in found.skipped.items()})
    page.note("Not measured", [f"{names}: {reason}." for reason, names in skipped.items()])
    page.note("About the data", [f"{note}." for note in inputs.notes])
    page.heading("How to read it")
    page.paragraph(
        "A finding is for or against the view only where a whole 95 % interval over the images is on one "
        f"side of a limit: {SMALL:.0%} of accuracy for a change that counts as small, 0 for a direction, 1 for "
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
    page.paragraph(experiment.method)
    if experiment.name in drawn:
        page.figure(drawn[experiment.name], experiment.caption)
    if experiment.name == "cka" and "cka_control" in drawn:
        page.figure(drawn["cka_control"], "Linear CKA of the blocks with those of the control.")
    page.heading("What it shows")
    for side, title in SIDES.items():
        page.note(title, [f.text for f in findings if f.verdict == side])
    if not findings:
        page.paragraph("There was nothing to measure.")
    page.table(table.rows, table.columns, f"The numbers, as in `{experiment.name}.csv`.")


def _report_pruning(page, table):
    """The section of the preset with fewer blocks."""
    page.section("A network with fewer blocks", "prune")
    page.paragraph(
        "Blocks of one shape were ranked by how little they matter, and left out from the least on. The "
        "folder `pruned` is the preset with recalibrated batch statistics, which `from_preset` loads; "
        "`finetuned`, if there is one, was trained further. Accuracy has the 95 % interval of its change "
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
