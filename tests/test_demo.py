import json

import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import cli


@pytest.mark.slow
def test_demo_does_the_whole_job_offline(tmp_path, capsys):
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
    assert cli.main(["demo", "--out", str(out)]) == 0  # again, in the same place
