"""Arguments are checked in one way."""

from pathlib import Path

import numpy as np
import pytest

from keras_unrolled import InputError, checks


@pytest.mark.parametrize("value", [np.float32(-2), np.float64(1.5), np.int64(3), 2])
def test_numbers_of_numpy_are_numbers(value):
    found = checks.real("bias", value, least=-100, most=100)
    assert (type(found), found) == (float, float(value))


@pytest.mark.parametrize("value", [True, np.bool_(True), "1", None, np.float32("nan"), 1j])
def test_what_is_no_finite_real_number_is_rejected(value):
    with pytest.raises(InputError, match="Expected `bias` to be a number"):
        checks.real("bias", value, least=-100, most=100)


@pytest.mark.parametrize(("value", "hint"), [("fulll", "Did you mean 'full'"), ("x", "Choose one")])
def test_every_choice_ends_in_a_hint(value, hint):
    with pytest.raises(InputError, match=hint):
        checks.one_of("gating", value, ("full", "coupled"))


def test_home_of_an_unknown_user_is_rejected(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert checks.expand("~/x") == Path("/home/me/x")
    assert checks.expand("a~b") == Path("a~b")
    with pytest.raises(InputError, match=r"Write \./~no_such_user/x if a folder"):
        checks.expand("~no_such_user/x")
