"""The option --slow."""

import shutil

import pytest

from tests.conftest import ROOT

pytest_plugins = ["pytester"]

TESTS = """
import pytest

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.skip(reason="another reason")
def test_skipped():
    pass

def test_fast():
    pass
"""


@pytest.fixture
def run(pytester):
    """A function that runs one slow, one skipped and one fast test with some arguments."""
    shutil.copy(ROOT / "tests/conftest.py", pytester.path / "conftest.py")
    pytester.makeini("[pytest]\nmarkers = slow: slow")
    pytester.makepyfile(TESTS)
    return lambda *arguments: pytester.runpytest("-p", "no:cacheprovider", "-ra", *arguments)


@pytest.mark.parametrize("processes", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_slow_tests_are_skipped_and_counted_in_one_line(run, processes):
    result = run("-n", str(processes))
    result.stdout.fnmatch_lines(["1 slow test was skipped. Pass --slow to run all tests."])
    result.stdout.fnmatch_lines(["*1 passed, 1 skipped, 1 slow*"])
    result.stdout.no_fnmatch_line("SKIPPED*pass --slow*")
    assert result.ret == 0


def test_slow_tests_run_with_the_option(run):
    result = run("-n", "0", "--slow")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.no_fnmatch_line("*slow test*")
