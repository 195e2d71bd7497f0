import numpy as np
import pytest

from keras_unrolled import InputError, analysis
from keras_unrolled.reporting import measuring
from keras_unrolled.reporting.inputs import Inputs
from keras_unrolled.reporting.measuring import measure, why_not
from tests.reporting.nets import make_examples, make_model


@pytest.fixture(scope="module")
def stack():
    return analysis.as_stack(make_model())


def make_inputs(count=24, labeled=True, **options):
    examples = make_examples(count)
    labels = examples.labels if labeled else None
    return Inputs(examples.images, labels, "made up", "test", **options)


def assert_same(found, expected):
    assert found.columns == expected.columns
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        for column in found.columns:
            if isinstance(ours[column], float):
                np.testing.assert_allclose(ours[column], theirs[column], atol=1e-5)
            else:
                assert ours[column] == theirs[column]


@pytest.mark.slow
def test_shared_pass_gives_what_each_measurement_gives_alone(stack):
    inputs, names = (
        make_inputs(),
        ("estimation_error", "gate_stats", "optimal_gate", "residual_mean"),
    )
    found = measure(stack, inputs, only=[*names, "geometry"]).tables
    data = (inputs.values, inputs.labels)
    assert_same(found["estimation_error"], analysis.estimation_error(stack, inputs.values))
    assert_same(found["residual_mean"], analysis.residual_mean(stack, inputs.values))
    assert_same(found["optimal_gate"], analysis.optimal_gate(stack, inputs.values))
    for by in ("channel", "class", "position", "histogram"):
        assert_same(found[f"gate_stats_{by}"], analysis.gate_stats(stack, *data, by=by))
    for at in ("input", "readout"):
        expected = analysis.geometry(stack, *data, at=at)
        if at == "readout":
            rows = [row for row in expected if row["gradient_cosine"] is not None]
            assert {row["block"] for row in rows} == set(stack.stages[-1])
            expected = analysis.Table(rows)
        assert_same(found["geometry"].where(at=at), expected)


def test_blocks_are_observed_once_for_all_measurements(stack, monkeypatch):
    passes, observe = [], measuring.observe
    monkeypatch.setattr(measuring, "observe", lambda *a, **k: passes.append(a) or observe(*a, **k))
    measure(stack, make_inputs(), only=["estimation_error", "residual_mean", "geometry"])
    assert len(passes) == 1


def test_all_schedules_share_one_tree(stack, monkeypatch):
    trees, run = [], measuring.run_plans
    monkeypatch.setattr(measuring, "run_plans", lambda *a, **k: trees.append(a) or run(*a, **k))
    found = measure(stack, make_inputs(), only=["lesion", "repeat"])
    assert len(trees) == 1
    assert set(found.tables) == {"lesion", "repeat"}
    assert not found.recalibrated
    assert set(found.tables["lesion"]["recalibrated"]) == {False}


def test_control_adds_its_estimation_error_and_its_similarity(stack):
    control = analysis.as_stack(make_model("plain", seed=1))
    found = measure(stack, make_inputs(), only=["estimation_error", "cka"], control=control).tables
    assert list(dict.fromkeys(found["estimation_error"]["network"])) == ["model", "control"]
    expected = analysis.cka(stack, make_inputs().values, other=control)
    assert_same(found["cka_control"], expected)


@pytest.mark.parametrize(
    ("name", "gating", "blocks", "options", "reason"),
    [
        ("readout", "full", (2, 2), {"labeled": False}, "needs labels"),
        ("cka", "full", (2, 2), {"count": 3}, "needs 4 images"),
        ("optimal_gate", "residual", (2, 2), {}, "no free gates"),
        ("residual_mean", "plain", (2, 2), {}, "no shortcut"),
        ("geometry", "plain", (2, 2), {}, "no shortcut"),
        ("shuffle", "full", (1, 2), {}, "can change places"),
    ],
)
def test_measurement_that_cannot_be_made_is_skipped_or_refused(
    name, gating, blocks, options, reason
):
    other = analysis.as_stack(make_model(gating, blocks=blocks))
    assert reason in why_not(name, other, make_inputs(**options))
    with pytest.raises(InputError, match=f"Received: {name}; .*{reason}"):
        measure(other, make_inputs(**options), only=[name])


def test_unknown_measurement_is_answered_with_the_nearest_name(stack):
    with pytest.raises(InputError, match="Did you mean 'lesion'"):
        measure(stack, make_inputs(), only=["lesions"])
