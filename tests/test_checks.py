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
    monkeypatch.setenv("HOME", "/place/of/me")
    assert checks.expand("~/x") == Path("/place/of/me/x")
    assert checks.expand("a~b") == Path("a~b")
    with pytest.raises(InputError, match=r"Write \./~no_such_user/x if a folder"):
        checks.expand("~no_such_user/x")


def test_counts_are_in_the_singular_or_plural():
    counts = [checks.count(number, "line") for number in (0, 1, 2, 3000)]
    assert counts == ["0 lines", "1 line", "2 lines", "3,000 lines"]


@pytest.mark.parametrize("address", ["hf://me/x", "https://x.org/a//b", "s3://bucket"])
def test_address_has_both_slashes_even_of_a_path(address):
    assert checks.find_address(address) == address
    assert checks.find_address(Path(address.replace("a//b", "b"))) == address.replace("a//b", "b")


def test_path_is_no_address(tmp_path, monkeypatch):
    for path in ("/a/b", "C:/a", "cifar10:train[:5%]", "a:b/c"):
        assert checks.find_address(path) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hf:" / "me").mkdir(parents=True)
    assert checks.readable("the data", "hf://me") == Path("hf:/me")
    with pytest.raises(InputError, match="Received an address: hf://you"):
        checks.readable("the data", Path("hf://you"))


def test_array_in_place_of_a_path_is_named_on_one_line():
    table = np.zeros((9, 9))
    with pytest.raises(InputError, match=r"Received a ndarray: array\(.*Pass a string") as raised:
        checks.readable("the table", table)
    assert "\n" not in str(raised.value)
