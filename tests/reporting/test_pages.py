import pytest

from keras_unrolled.analysis.table import Table
from keras_unrolled.reporting.analysis import _has_points
from keras_unrolled.reporting.experiments import BY_NAME, SCHEDULE
from keras_unrolled.reporting.pages import _caption, _without_labels
from keras_unrolled.reporting.verdicts import AGAINST, FOR, NEITHER, sum_up


@pytest.mark.parametrize(("accuracy", "low"), [(0.5, 0.4), (None, None)])
def test_figures_without_labels_promise_neither_accuracy_nor_intervals(accuracy, low):
    table = Table([{"block": "none", "accuracy": accuracy, "low": low, "high": low}])
    caption = _caption(BY_NAME["lesion"], table)
    method = _without_labels(BY_NAME["lesion"].method, table)
    assert ("intervals" in caption) == ("Scores" in caption) == (SCHEDULE in method)
    assert ("ccuracy" in method) == (accuracy is not None)


def test_verdict_of_an_experiment_does_not_count_its_sentences():
    assert sum_up([FOR, FOR, AGAINST, NEITHER]) == "for and against"
    assert sum_up([FOR, FOR, NEITHER]) == "for"
    assert sum_up([AGAINST]) == "against"
    assert sum_up([NEITHER]) == sum_up([]) == "neither"


@pytest.mark.parametrize(
    ("name", "row", "more"),
    [
        ("gate_stats", {"kind": "one"}, {"kind": "coupled"}),
        ("optimal_gate", {"tautology": True}, {"tautology": False}),
        ("estimation_error", {"normalized": 0.0, "std": 0.0}, {"normalized": 0.5, "std": 1.0}),
    ],
)
def test_figures_need_more_than_what_holds_by_construction(name, row, more):
    assert not _has_points(name, Table([row]))
    assert _has_points(name, Table([row, more]))
