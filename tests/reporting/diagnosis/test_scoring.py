import json
import re

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, evaluation, presets
from tests.reporting.nets import LABELS, make_examples, make_model
from tests.reporting.pages import read_page, read_rows

TABLES = {
    "classes": "class n accuracy low high answered precision mistaken_for mistaken",
    "confusion": "label answer n",
    "calibration": "images temperature n negative_log_likelihood brier calibration_error",
    "reliability": "temperature from to n confidence accuracy low high",
    "mirror": "n accuracy averaged difference low high only_averaged only_plain p",
    "images": "image label answer probability label_probability loss",
    "suspects": "image label suggested label_probability suggested_probability margin",
    "duplicates": "first second first_label second_label identical likeness bits cosine",
    "sizes": "image height width why",
}
PLANTED = 7  # a copy of image 4, with another label


def write_classes(folder, examples):
    """Writes examples as class folders, one of them of another size; returns the folder."""
    for i, (image, label) in enumerate(zip(examples.images, examples.labels)):
        place = folder / examples.names[label]
        place.mkdir(parents=True, exist_ok=True)
        image = np.tile(image, (4, 4, 1)) if i == 0 else image
        Image.fromarray(image).save(place / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def model():
    return make_model("coupled", blocks=(1, 1))


@pytest.fixture(scope="module")
def examples():
    examples = make_examples(40)
    examples.images[PLANTED] = examples.images[4]
    return examples


@pytest.fixture(scope="module")
def full(tmp_path_factory, model, examples):
    """A report on images in memory, and what `evaluate` returned."""
    out = tmp_path_factory.mktemp("full") / "report"
    return out, ku.evaluate(model, examples, report=out, seed=1)


def test_every_table_and_figure_is_written(full):
    out, _ = full
    for name, columns in TABLES.items():
        assert (out / f"{name}.csv").read_text().splitlines()[0].split(",") == columns.split(), name
    for name in ("confusion", "reliability", "maps"):
        assert (out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / "figures" / f"{name}.svg").read_text()
    assert list(out.parent.iterdir()) == [out]  # nothing half-written next to it


def test_figures_agree_with_the_scores_of_predict(full, model, examples):
    out, result = full
    scores = evaluation.predict(model, examples.images).astype("float64")
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    answers, labels = p.argmax(-1), examples.labels
    assert result["accuracy"] == np.mean(answers == labels)
    assert result["low"] < result["accuracy"] < result["high"]
    loss = -np.log(p[np.arange(40), labels])
    assert result["negative_log_likelihood"] == pytest.approx(loss.mean(), rel=1e-4)
    rows = read_rows(out / "classes.csv")
    assert [row["class"] for row in rows] == LABELS
    expected = [np.mean(answers[labels == i] == i) for i in range(4)]
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(expected)
    written = [float(row["loss"]) for row in read_rows(out / "images.csv")]
    assert written == pytest.approx(loss, rel=1e-3)
    assert result["calibration"]["n"] == 20
    assert result["calibration"]["before"]["n"] == result["calibration"]["after"]["n"] == 20


def test_planted_duplicate_is_found_with_both_labels(full, examples):
    out, result = full
    rows = read_rows(out / "duplicates.csv")
    assert result["duplicates"] == len(rows)
    assert float(rows[0]["likeness"]) == pytest.approx(1, abs=1e-5)
    assert rows[0] | {"cosine": 1} == {
        "first": "4",
        "second": str(PLANTED),
        "identical": "True",
        "likeness": rows[0]["likeness"],
        "bits": "0",
        "cosine": 1,
        "first_label": LABELS[examples.labels[4]],
        "second_label": LABELS[examples.labels[PLANTED]],
    }


def test_page_is_well_formed_and_needs_nothing_else(full):
    text, root = read_page(full[0])
    names = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(names) == len(set(names))
    loaded = re.findall(r'(?:\ssrc|\shref|xlink:href)="([^"]*)"|url\(([^)]*)\)', text)
    assert all((a or b).startswith(("#", "data:")) for a, b in loaded)
    assert not re.search(r"<(script|link|iframe|object)\b|@import", text)
    pictures = [e for e in root.iter() if e.tag == "img"]
    assert len(pictures) >= 24 + 1 + 2  # the worst, the maps, a pair
    assert all(e.get("alt") for e in pictures)


def test_page_and_summary_state_what_was_measured(full):
    out, result = full
    text = " ".join(read_page(out)[1].itertext())
    for words in (
        "expected calibration error puts the images into 15 bins",
        "It is not known whether the network was trained on these images",
        "seed 1",
        "Grad-CAM",
        "transform gate T",
        "confident learning",
        "Every picture has 8 x 8 pixels",
        "the temperature was chosen on 20 images only",
    ):
        assert words in text, words
    for name in TABLES:
        assert f"{name}.csv" in text
    summary = json.loads((out / "report.json").read_text())
    assert {key: summary[key] for key in result} == result
    assert summary["settings"]["seed"] == 1


def test_scores_without_a_report_are_those_of_before(model, examples):
    found = ku.evaluate(model, examples)
    assert found == presets.scoring.evaluate(model, examples)
    assert set(found) == {"preset", "dataset", "split", "n", "accuracy"}


@pytest.mark.slow
def test_folder_is_reported_by_file_with_unusual_sizes_and_other_images_calibrate(tmp_path):
    examples = make_examples(24)
    place = write_classes(tmp_path / "pictures", examples)
    other = write_classes(tmp_path / "others", make_examples(20, seed=3))
    model = make_model("residual", blocks=(1, 1))
    out = tmp_path / "report"
    result = ku.evaluate(model, place, report=out, calibrate_on=other, limit=20)
    assert result["n"] == 20
    assert result["calibration"]["n"] == 20
    assert result["calibration"]["before"]["n"] == 20
    assert str(other) in result["calibration"]["chosen_on"]
    rows = read_rows(out / "images.csv")
    assert {row["image"].split("/")[0] for row in rows} == set(LABELS)
    assert [row["image"] for row in read_rows(out / "sizes.csv")] == ["cat/00.png"]
    assert result["unusual_sizes"] == 1
    assert "transform gate is fixed" in " ".join(read_page(out)[1].itertext())
    with pytest.raises(InputError, match="Found one at"):
        ku.evaluate(model, place, report=out)
    again = ku.evaluate(model, place, report=out, overwrite=True)
    assert again["n"] == 24


def test_bad_input_is_rejected_before_anything_is_written(tmp_path, model, examples):
    one = examples.take([0, 4, 8])
    place = write_classes(tmp_path / "pictures", examples.take(range(8)))
    (place / "ship" / "03.png").unlink()
    (place / "ship" / "07.png").unlink()
    other = tmp_path / "analysis"
    other.mkdir()
    (other / "report.html").write_text("x")
    (other / "report.json").write_text("{}")
    cases = [
        (one, {}, "Received 3 images of one class, 'cat'"),
        (examples.images, {}, "Expected labels to score by"),
        (place, {}, "Found class folders without images: ship"),
        (place, {"report": place / "report"}, "outside of the data"),
        (examples, {"report": other}, "Found one at"),
        (examples, {"report": other, "overwrite": True}, "report of another kind"),
        (examples, {"report": None, "overwrite": True}, "without a report. Received: overwrite"),
        (examples, {"split": "valid"}, "Received: split"),
        (examples, {"seed": -1}, "seed"),
        (examples, {"calibrate_on": examples}, "is scored, too"),
    ]
    for dataset, options, message in cases:
        with pytest.raises(InputError, match=message):
            ku.evaluate(model, dataset, **{"report": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_classes_that_no_image_has_are_noted(tmp_path, model):
    examples = make_examples(40)
    kept = np.flatnonzero(examples.labels < 2)
    some = data.Examples(examples.images[kept], examples.labels[kept], tuple(LABELS), "two")
    result = ku.evaluate(model, some, report=tmp_path / "out")
    assert "2 of the network's 4 classes have no images: frog, ship" in result["notes"]
    rows = read_rows(tmp_path / "out" / "classes.csv")
    assert [row["accuracy"] for row in rows[2:]] == ["", ""]
