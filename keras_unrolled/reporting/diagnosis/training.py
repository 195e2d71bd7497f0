"""The section of a report on how a classifier was fine-tuned."""

from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.analysis.drawing import draw
from keras_unrolled.analysis.plots import add_curves
from keras_unrolled.reporting.html import Page

PHASE = ("phase", "trained", "epochs", "learning_rate", "accuracy", "val_accuracy")
TRIAL = ("learning_rate", "val_accuracy", "val_loss", "steps", "seconds", "chosen")


def draw_training(history: list[dict[str, Any]], path: str | Path) -> Path:
    """Draws loss and accuracy over the epochs, with the start of each phase.

    Args:
        history: rows of `read_history`, one at least.
        path: where it goes, `.png` or `.svg`.

    Returns:
        The path.
    """
    keys = [key for key in history[0] if key.removeprefix("val_") in ("loss", "accuracy")]
    starts: dict[str, int] = {}
    for number, row in enumerate(history, start=1):
        starts.setdefault(row["phase"], number)
    curves = {key: [row[key] for row in history] for key in keys}
    return draw(path, lambda *axes: add_curves(axes, curves, starts), columns=2)


def report_training(page: Page, result: dict[str, Any], drawn: dict[str, str | bytes]) -> None:
    """Adds the section: phases, curves, the score on a test part, trials, what limits the result
    and what to try next.

    Args:
        page: `Page`.
        result: dict, as `finetuning.run.finetune` returns it.
        drawn: dict from a figure's name to an SVG, with "training" unless there is none.
    """
    page.section("Fine-tuning", "training")
    page.paragraph(
        f"`{result['base']}` got a new head for {len(result['classes'])} classes and was trained for "
        f"{checks.count(result['epochs'], 'epoch')}. The accuracy that is held out is that of the images of this report."
    )
    page.table(
        result["phases"], PHASE, "The phases, with the accuracies at the end of each.", most=None
    )
    if "training" in drawn:
        page.figure(drawn["training"], "Loss and accuracy over the epochs.")
    if "test" in result:
        page.paragraph(
            f"On the test part, {checks.count(result['test']['n'], 'image')} by which nothing was chosen, "
            f"{100 * result['test']['accuracy']:.2f}% are answered right. It is not in this report."
        )
    if result["trials"]:
        page.table(result["trials"], TRIAL, "Learning rates that were tried briefly.", most=None)
    page.note("What limits the result", result["limits"])
    page.note("What to try next", result["hints"])
