import io
import sys

from keras_unrolled.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_fits_80_columns_in_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    for _ in progress(range(3), description="a title of some length", unit="images"):
        pass
    lines = sys.stderr.getvalue().replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    assert "3.00/3.00" in lines[-1]


def test_log_file_gets_few_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for _ in progress(range(10_000), description="long work", unit="images"):
        pass
    assert sys.stderr.getvalue().count("\r") <= 3


def test_hidden_bar_writes_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(progress(range(3), hidden=True)) == [0, 1, 2]
    assert sys.stderr.getvalue() == ""
