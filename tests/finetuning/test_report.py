"""What a fine-tuning says about its result."""

import pytest

from keras_unrolled.finetuning.options import Options
from keras_unrolled.finetuning.report import suggest


def find_margin(accuracy, count):
    """The sentence on the precision of an accuracy, or None."""
    row = {"phase": "head", "accuracy": accuracy, "val_accuracy": accuracy}
    hints = suggest(Options(), [row], count)
    return next((hint for hint in hints if "an accuracy is known" in hint), None)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_margin_is_given_where_all_answers_are_right_or_wrong(accuracy):
    z2, count = 1.959964**2, 20
    # At its ends Wilson's interval reaches from n / (n + z^2) to 1, or from 0 to z^2 / (n + z^2).
    assert f"20 held-out images an accuracy is known to about {z2 / (count + z2) / 2:.0%}." in (
        find_margin(accuracy, count)
    )


def test_margin_of_many_images_is_that_of_the_normal_distribution():
    assert "about 5%" in find_margin(0.5, 400)  # 1.96 * sqrt(0.25 / 400) = 4.9%
    assert find_margin(0.5, 10_000) is None
