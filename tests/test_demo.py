import json

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import cli, data


@pytest.mark.slow
def test_demo_does_the_whole_job_offline(tmp_path, capsys, monkeypatch):
    out = tmp_path / "demo"
    assert cli.main(["demo", "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for row in found["presets"]:
        assert row["n"] == 1000
        assert abs(row["accuracy"] - row["recorded"]) < 0.027
    assert found["finetuned"]["accuracy"] > 0.8
    language = found["language"]
    assert language["text"].startswith("the company said ")
    words = language["text"].replace("\n", " <eos> ").split()
    assert 8 < len(words) <= 16  # lines that end it are stripped
    assert language["recorded"] < 95
    assert [n["probability"] for n in language["next"]] == sorted(
        (n["probability"] for n in language["next"]), reverse=True
    )
    assert found["files"] == [str(out / n) for n in ("demo.png", "renamed/curves.png", "renamed")]
    with Image.open(out / "demo.png") as picture:
        assert min(picture.size) > 500
    model = ku.from_preset(out / "renamed")
    assert model.labels == ["kitty", "puppy", "croaker", "pony", "boat"]
    # Again, in the same place, with four images of each class.
    sample = data.load_sample()
    few = sample.take([i for c in range(10) for i in np.flatnonzero(sample.labels == c)[:4]])
    monkeypatch.setattr(data, "load_sample", lambda: few)
    assert cli.main(["demo", "--out", str(out)]) == 0
