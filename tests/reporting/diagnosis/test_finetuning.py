"""A fine-tuning with a report on the images that it held out."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, evaluation
from keras_unrolled.finetuning.options import Options
from keras_unrolled.reporting.diagnosis import finetuning
from keras_unrolled.reporting.diagnosis.looking import look
from keras_unrolled.reporting.diagnosis.training_labels import check_training_labels
from tests.cli.calling import call
from tests.reporting.nets import make_examples, make_model
from tests.reporting.pages import read_rows


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "small"
    ku.save_preset(make_model(blocks=(1, 1)), folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Forty pictures as class folders, dark and light ones."""
    folder, rng = tmp_path_factory.mktemp("data") / "pictures", np.random.default_rng(0)
    for i in range(40):
        name, shift = (("dark", 0), ("light", 128))[i % 2]
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(shift, shift + 128, (8, 8, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


@pytest.mark.slow
def test_report_is_on_the_images_that_were_held_out(capsys, base, pictures, tmp_path):
    tuned, out = tmp_path / "tuned", tmp_path / "report"
    arguments = ["--data", pictures, "--out", tuned, "--epochs", 2, "--patience", 2]
    code, text, err = call(
        *(capsys, "finetune", base, *arguments, "--report", out, "--augmentation", "none", "--json")
    )
    assert code == 0, err
    result = json.loads(text)
    assert f"{tuned} is written; its report follows" in err  # what an interruption now leaves
    assert result["report"] == str(out / "report.html")
    summary = json.loads((out / "report.json").read_text())
    assert (summary["n"], summary["accuracy"]) == (result["n"], result["accuracy"])
    assert summary["in_sample"] == "no"
    # The images, labels and answers are those that the fine-tuning itself wrote.
    held, rows = read_rows(tuned / "held_out.csv"), read_rows(out / "images.csv")
    assert [row["file"].endswith(f"/{r['image']}") for row, r in zip(held, rows)] == [True] * 8
    assert [row["label"] for row in held] == [row["label"] for row in rows]
    assert [row["predicted"] for row in held] == [row["answer"] for row in rows]
    scores = evaluation.predict(
        ku.from_preset(tuned),
        np.stack([np.asarray(Image.open(pictures / row["image"])) for row in rows]),
    ).astype("float64")
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    labels = [("dark", "light").index(row["label"]) for row in rows]
    losses = -np.log(p[np.arange(8), labels])
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, rel=1e-3)
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in (
        "8 images were held out of the fine-tuning",
        "They chose the epoch",
        "Loss and accuracy over the epochs",
        "the new head",
        "What limits the result",
        "Few training images: dark (16), light (16)",
        "Labels of training images that may be wrong",
        "of the images are answered as they are labeled",
    ):
        assert words in page, words
    assert summary["training"]["n"] == 32
    suspects = read_rows(out / "training_suspects.csv")
    assert len(suspects) == summary["training"]["suspects"]
    assert {row["image"] for row in suspects}.isdisjoint(row["image"] for row in rows)
    loaded = re.findall(r'(?:\ssrc|\shref|xlink:href)="([^"]*)"|url\(([^)]*)\)', page)
    assert all((a or b).startswith(("#", "data:")) for a, b in loaded)
    assert not re.search(r"<(script|link|iframe|object)\b|@import", page)
    assert "<svg" in (out / "figures" / "training.svg").read_text()


@pytest.mark.slow
def test_parts_of_a_data_set_of_tfds_are_read_as_they_are_divided(base, tfds_dir):
    parts = finetuning._load_parts("cifar10:test[:150]", Options(), {"data_dir": tfds_dir})
    held, whole = finetuning._hold_out(parts), data.load_cifar10(tfds_dir, "test[:150]")
    np.testing.assert_array_equal(held.images[:], whole.images[parts.held])
    np.testing.assert_array_equal(held.labels, whole.labels[parts.held])
    found = check_training_labels(base, parts.examples, parts.train, "cifar10:test[:150]")
    assert found.pictures == [f"test/{i}" for i in parts.train]
    model = ku.from_preset(base)
    expected = look(model, whole.images[parts.train], mirror=False)
    seen = look(model, found.examples.images, mirror=False)
    np.testing.assert_array_equal(seen.digests, expected.digests)


def test_bad_report_is_rejected_before_anything_is_trained(base, pictures, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("x")
    out = tmp_path / "out"
    one = make_examples(8)
    one = ku.data.Examples(one.images, np.arange(8) % 2, ("a", "b"), "made up")
    cases = [
        (pictures, {"report": taken}, "Found something else"),
        (pictures, {"report": pictures / "report"}, "outside of the data"),
        (pictures, {"report": out / "report"}, "apart from each other"),
        (pictures, {"report": out}, "apart from each other"),
        (one, {"report": tmp_path / "r", "held_out": 2}, "held_out"),
    ]
    for source, options, message in cases:
        with pytest.raises(InputError, match=message):
            ku.finetune(base, source, out, **options)
    assert not out.exists()
    assert not (tmp_path / "out.partial").exists()
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("options", "part"), [({}, "test"), ({"tries": 2}, "train")])
def test_a_test_part_is_not_held_out_where_something_is_chosen(options, part, pictures, tmp_path):
    for name in ("train", "test"):
        shutil.copytree(pictures, tmp_path / "data" / name)
        for i, path in enumerate((tmp_path / "data" / name).glob("*/*.png")):  # no copies
            Image.fromarray(np.full((8, 8, 3), i, "uint8")).save(path)
    held = finetuning._hold_out(finetuning._load_parts(tmp_path / "data", Options(**options), {}))
    assert {path.parent.parent.name for path in map(Path, held.images.paths)} == {part}
