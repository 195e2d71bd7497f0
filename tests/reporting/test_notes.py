import pytest

from keras_unrolled.reporting.inputs import Inputs
from keras_unrolled.reporting.measuring import Measured
from keras_unrolled.reporting.notes import find_notes

NONE = {"control": False, "recalibrate": 1000, "probes": 0}


@pytest.mark.parametrize(
    ("tables", "options", "is_text", "expected"),
    [
        (["lesion"], {"control": True}, False, "`--control` had no effect"),
        (["lesion", "cka"], {"control": True}, False, None),
        (["lesion"], {"probes": 5}, False, "`--probes` had no effect"),
        (["readout"], {"probes": 5}, False, None),
        (["geometry"], {"recalibrate": 7}, True, "`--recalibrate` had no effect"),
        (["geometry"], {}, True, None),
    ],
)
def test_options_without_an_effect_are_named(tables, options, is_text, expected):
    found = Measured(tables=dict.fromkeys(tables))
    notes = find_notes(found, Inputs([], None, "", ""), {**NONE, **options}, is_text=is_text)
    assert [note[: len(expected or "")] for note in notes] == ([expected] if expected else [])


@pytest.mark.parametrize(("count", "expected"), [(199, 1), (200, 0)])
def test_batch_statistics_of_few_images_are_noted(count, expected):
    inputs = Inputs([], None, "", "", calibration=[0] * count)
    notes = find_notes(Measured(recalibrated=True), inputs, NONE, is_text=False)
    assert len(notes) == expected
    assert all("199 images only" in note for note in notes)
