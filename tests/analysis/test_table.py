"""Tables of measurements."""

import csv
import io

import numpy as np

from keras_unrolled.analysis import Table


def test_table_is_rows_columns_and_csv(tmp_path):
    table = Table(
        [{"block": "a", "n": np.int64(3), "x": np.float32(0.5)}, {"block": "b", "n": 4, "x": None}]
    )
    assert table.columns == ("block", "n", "x")
    assert table["n"] == [3, 4]
    assert type(table.rows[0]["n"]) is int
    assert table.where(block="b").rows == [{"block": "b", "n": 4, "x": None}]
    assert len(table) == len(list(table)) == 2
    text = table.to_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows == [{"block": "a", "n": "3", "x": "0.5"}, {"block": "b", "n": "4", "x": ""}]
    assert str(table).splitlines()[0].split() == ["block", "n", "x"]
    assert Table([], ("a", "b")).to_csv() == "a,b\n"
