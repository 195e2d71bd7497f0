"""How `finetune` prints what it did."""

from keras_unrolled.cli.finetuning import summarize

RESULT = {
    "preset": "flowers",
    "accuracy": 0.75,
    "n": 40,
    "classes": ["daisy", "tulip"],
    "image_size": 32,
    "phases": [],
    "range_test": {},
    "trials": [],
    "limits": [],
    "hints": [],
    "notes": [],
    "temperature": None,
    "out": "flowers",
}


def test_trials_are_printed_as_a_table_with_the_chosen_one_marked():
    lost = {"learning_rate": 0.03, "steps": 25, "val_accuracy": None, "val_loss": None}
    trials = [
        {"learning_rate": 0.01, "steps": 25, "val_accuracy": 0.725, "val_loss": 0.61},
        lost,
    ]
    for trial, seconds, chosen in zip(trials, (12.3, 4.0), (True, False)):
        trial |= {"seconds": seconds, "chosen": chosen}
    lines = summarize({**RESULT, "trials": trials}).splitlines()
    start = next(i for i, line in enumerate(lines) if "learning rate" in line)
    rows = [line.split() for line in lines[start + 1 : start + 3]]
    assert rows == [
        ["0.01", "72.5%", "0.610", "25", "12.3", "chosen"],
        ["0.03", "not", "finite", "25", "4.0"],
    ]
    assert len({line.index("25") for line in lines[start + 1 : start + 3]}) == 1  # in one column


def test_temperature_is_printed_where_there_is_one():
    assert "temperature" not in summarize(RESULT)
    assert "probabilities: 2.54 (predict --calibrated)" in summarize(
        {**RESULT, "temperature": 2.5398}
    )


def test_limits_and_hints_have_headings_only_where_there_are_some():
    text = summarize(RESULT)
    assert "limits" not in text
    assert "next" not in text
    text = summarize({**RESULT, "limits": ["It overfits."], "hints": ["Try more."]})
    assert "What limits the result:\n- It overfits.\nWhat to try next:\n- Try more.\n" in text
