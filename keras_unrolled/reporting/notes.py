"""What a reader should know of the options of a report: those without an effect, and few images."""

from typing import Any

from keras_unrolled import checks

LIMIT = RECALIBRATE = 1000  # images, the defaults
ENOUGH = 200  # images, from which batch statistics are not left to chance


def find_notes(found: Any, inputs: Any, options: dict[str, Any], *, is_text: bool) -> list[str]:
    """Notes on a report.

    Args:
        found: `Measured`.
        inputs: `Inputs`.
        options: dict with "control", a bool, "recalibrate" and "probes", ints.
        is_text: bool, whether the network is a language model.

    Returns:
        A list of strings without a full stop.
    """
    notes = []
    if options["control"] and not {"estimation_error", "cka"} & set(found.tables):
        notes.append("`--control` had no effect: it is compared by estimation_error and cka alone")
    if options["probes"] and "readout" not in found.tables:
        notes.append("`--probes` had no effect: they belong to readout, which was not measured")
    if is_text and options["recalibrate"] not in (0, RECALIBRATE):
        notes.append("`--recalibrate` had no effect: a language model has no batch statistics")
    if found.recalibrated and len(inputs.calibration) < ENOUGH:
        notes.append(
            f"batch statistics were recalibrated on {checks.count(len(inputs.calibration), 'image')} "
            f"only: {ENOUGH} or more make them less a matter of chance"
        )
    return notes
