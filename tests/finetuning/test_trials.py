"""Trials and range tests choose a rate by short runs, and leave nothing else behind."""

import json

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled.engine import NonFiniteLossError
from keras_unrolled.finetuning import choices, trials
from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.run import finetune
from tests.nets import randomize

SETTINGS = {"epochs": 3, "batch_size": 16}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = models.resnet(8, dataset="cifar")
    randomize(model)
    folder = tmp_path_factory.mktemp("trials") / "small"
    ku.save_preset(model, folder)
    return folder


@pytest.fixture(scope="module")
def pictures():
    """A hundred pictures of each of two classes."""
    sample = data.load_sample()
    two = sample.take(np.flatnonzero(sample.labels < 2))
    return data.Examples(two.images, two.labels, sample.names[:2], "two classes")


def arrays(folder):
    return [keras.ops.convert_to_numpy(w) for w in ku.from_preset(folder).weights]


@pytest.mark.parametrize(
    ("minutes", "pace", "steps"),
    [
        (3, {"step": 1.0, "rest": 10.0}, 50),  # of 60 seconds for each of three trials
        (3, {"step": 0.1, "rest": 10.0}, 200),  # no more than wanted
        (0.5, {"step": 1.0, "rest": 10.0}, 0),
    ],
)
def test_trials_are_shortened_to_the_time(minutes, pace, steps):
    assert trials.plan_steps(200, Options(tries=3, try_minutes=minutes), pace) == steps


def test_too_few_held_out_images_to_choose_by_are_rejected(preset, pictures, tmp_path):
    few = pictures.take(np.arange(12))
    few = data.Examples(few.images, np.arange(12) % 2, few.names, "few")
    with pytest.raises(InputError, match="at least 10 held-out images for --try"):
        finetune(preset, few, tmp_path / "out", tries=2)
    assert list(tmp_path.iterdir()) == []


def test_kept_choices_belong_to_one_run(tmp_path):
    first = choices.Choices(tmp_path / "choices", Options(), {"seed": 0})
    assert first._get("one", lambda place: [1, 2]) == [1, 2]
    again = choices.Choices(tmp_path / "choices", Options(), {"seed": 0})
    assert again._get("one", lambda place: pytest.fail("chosen again")) == [1, 2]
    with pytest.raises(InputError, match="seed was 0 and is now 1"):
        choices.Choices(tmp_path / "choices", Options(), {"seed": 1})


@pytest.mark.slow
def test_run_with_a_found_rate_is_that_with_the_rate_given(preset, pictures, tmp_path):
    found = finetune(preset, pictures, tmp_path / "found", find_lr=True, **SETTINGS)
    rate = found["range_test"]["learning_rate"]
    assert found["phases"][-1]["learning_rate"] == rate
    finetune(preset, pictures, tmp_path / "given", learning_rate=rate, **SETTINGS)
    for ours, theirs in zip(arrays(tmp_path / "found"), arrays(tmp_path / "given"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    record = ku.load_record(tmp_path / "found").training
    assert (record["learning_rate"], record["range_test"]) == (rate, found["range_test"])
    finetune(preset, pictures, tmp_path / "again", find_lr=True, **SETTINGS)
    curve = (tmp_path / "found" / "find_lr.csv").read_text()
    assert curve == (tmp_path / "again" / "find_lr.csv").read_text()
    assert (tmp_path / "found" / "find_lr.png").is_file()


@pytest.mark.slow
def test_interrupted_trials_resume_and_the_best_one_is_trained_with(
    preset, pictures, tmp_path, monkeypatch
):
    settings = {**SETTINGS, "tries": 3, "head_only": True}
    whole = finetune(preset, pictures, tmp_path / "whole", **settings)
    try_one, calls = trials._try_one, []

    def fail(job, strategy):
        calls.append(job.recipe.learning_rate)
        if len(calls) == 2:
            raise ConnectionError
        return try_one(job, strategy)

    monkeypatch.setattr(trials, "_try_one", fail)
    with pytest.raises(ConnectionError):
        finetune(preset, pictures, tmp_path / "broken", **settings)
    with pytest.raises(InputError, match="seed was 0 and is now 1"):
        finetune(preset, pictures, tmp_path / "broken", seed=1, **settings)
    broken = finetune(preset, pictures, tmp_path / "broken", **settings)
    assert calls == pytest.approx([0.01, 0.03, 0.03, 0.00333])  # the first one was kept
    for trial in [*whole["trials"], *broken["trials"]]:
        del trial["seconds"]
    assert broken["trials"] == whole["trials"]
    best = min(whole["trials"], key=lambda t: (-t["val_accuracy"], t["val_loss"]))
    assert [t["chosen"] for t in whole["trials"]] == [t is best for t in whole["trials"]]
    assert whole["phases"][-1]["learning_rate"] == best["learning_rate"]
    for ours, theirs in zip(arrays(tmp_path / "whole"), arrays(tmp_path / "broken"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    record = json.loads((tmp_path / "whole" / "record.json").read_text())
    assert len(record["training"]["trials"]) == 3
    assert record["metrics"][0]["origin"].endswith("which also chose the learning rate")
    assert not (tmp_path / "broken.partial").exists()


@pytest.mark.slow
def test_trial_that_breaks_the_network_loses(preset, pictures, tmp_path, monkeypatch):
    train = trials.engine.train

    def diverge(job, strategy):
        if job.recipe.learning_rate == 0.01 and "trial" in job.title:
            raise NonFiniteLossError
        return train(job, strategy)

    monkeypatch.setattr(trials.engine, "train", diverge)
    settings = {**SETTINGS, "tries": 2, "head_only": True}
    first, second = finetune(preset, pictures, tmp_path / "out", **settings)["trials"]
    assert (first["val_accuracy"], first["chosen"], second["chosen"]) == (None, False, True)


@pytest.mark.slow
def test_rate_that_breaks_the_network_does_not_end_the_timing(
    preset, pictures, tmp_path, monkeypatch
):
    train = trials.engine.train

    def diverge(job, strategy):
        if job.recipe.learning_rate >= 0.01:
            raise NonFiniteLossError
        return train(job, strategy)

    monkeypatch.setattr(trials.engine, "train", diverge)
    settings = {**SETTINGS, "tries": 3, "head_only": True}
    chosen = finetune(preset, pictures, tmp_path / "out", **settings)["trials"]
    assert [t["val_accuracy"] is None for t in chosen] == [True, True, False]
    assert [t["chosen"] for t in chosen] == [False, False, True]


@pytest.mark.slow
def test_time_too_short_for_trials_is_noted_and_the_usual_rate_taken(preset, pictures, tmp_path):
    settings = {**SETTINGS, "tries": 2, "try_minutes": 0.01, "head_only": True}
    result = finetune(preset, pictures, tmp_path / "out", **settings)
    assert result["trials"] == []
    assert "0.01 minutes are too short for 2 trials" in result["notes"][0]
    assert result["phases"][-1]["learning_rate"] == 0.01
