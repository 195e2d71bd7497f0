"""Tables that follow from the records."""

import csv
import io

import pytest

import keras_unrolled as ku
from zoo import build


def test_timm_table_has_the_scores_of_every_classifier():
    records = ku.list_presets()
    rows = list(csv.DictReader(io.StringIO(build.make_timm_table(records))))
    found = {(r["model"], r["dataset"]): r for r in rows}
    assert len(found) == len(rows)
    for record in records:
        scores = record.metrics or record.source.get("metrics", ())
        for score in scores if record.task == "image-classification" else ():
            row = found.pop((record.name, score["dataset"]))
            assert float(row["top1"]) == pytest.approx(100 * score["value"], abs=6e-4)
            assert float(row["top1"]) + float(row["top1_err"]) == pytest.approx(100)
            assert float(row["param_count"]) == pytest.approx(record.parameters / 1e6, abs=6e-3)
            assert (row["whose"] == "ours") == bool(record.metrics)
    assert not found
