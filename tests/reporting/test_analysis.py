import json
import re
import shutil

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, data, models, reporting
from keras_unrolled.reporting.measuring import MEASUREMENTS
from tests.models.test_character_lm import TEXT, TINY
from tests.reporting.nets import make_examples, make_model, write_pictures
from tests.reporting.pages import read_page, read_rows

# The columns that each table is documented to have.
COLUMNS = {
    "lesion": "block how recalibrated n accuracy loss kl agreement low high difference",
    "shuffle": "stage kind order discordant tau recalibrated n accuracy loss kl agreement low high "
    "difference",
    "repeat": "block times recalibrated n accuracy loss kl agreement low high difference",
    "parallel": "stage blocks recalibrated n accuracy loss kl agreement low high difference",
    "layer_dropout_curve": "count blocks recalibrated n accuracy loss kl agreement low high difference",
    "estimation_error": "stage block mean std normalized low high network",
    "residual_mean": "stage block of mean rms share low high significant",
    "gate_stats": "stage block gate kind mean std between_images shut open low high",
    "gate_stats_channel": "stage block gate channel mean std",
    "gate_stats_class": "stage block gate class n mean",
    "gate_stats_position": "stage block gate row column mean",
    "gate_stats_histogram": "stage block gate low high share",
    "optimal_gate": "stage block gate trained optimal low high own later correlation own_correlation "
    "tautology",
    "readout": "block readout macs n accuracy loss kl agreement low high difference",
    "geometry": "stage block ratio cosine influence influence_positions gradient_cosine low high at",
    "cka": "block other cka",
    "separation": "stage block fuzziness log_fuzziness nc1 low high slope r2",
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A whole report of a small network and 40 images, and what `analyze` returned."""
    out = tmp_path_factory.mktemp("full") / "report"
    model = make_model("coupled", blocks=(3, 2))
    return out, reporting.analyze(model, out, make_examples(40), control=make_model("plain"))


@pytest.mark.slow
def test_every_measurement_has_its_table_and_its_figures(full):
    out, result = full
    assert result["measured"] == list(MEASUREMENTS)
    assert result["skipped"] == {}
    for name, columns in COLUMNS.items():
        rows = read_rows(out / f"{name}.csv")
        assert list(rows[0]) == columns.split(), name
    for name in MEASUREMENTS:
        assert (out / f"{name}.csv").is_file()
        assert (out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert len((out / "figures" / f"{name}.png").read_bytes()) > 5_000
        assert "<path" in (out / "figures" / f"{name}.svg").read_text()
    assert {row["network"] for row in read_rows(out / "estimation_error.csv")} == {
        "model",
        "control",
    }
    assert {row["recalibrated"] for row in read_rows(out / "lesion.csv")} == {"False", "True"}
    assert list(out.parent.iterdir()) == [out]  # nothing half-written next to it


def test_page_is_well_formed_and_needs_nothing_else(full):
    text, root = read_page(full[0])
    assert len([e for e in root.iter() if e.tag.endswith("}svg")]) == len(MEASUREMENTS) + 1
    names = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(names) == len(set(names))
    links = [e.get("href") for e in root.iter() if e.tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= set(names)
    assert set(MEASUREMENTS) <= set(names)
    loaded = re.findall(r'(?:\ssrc|\shref|xlink:href)="([^"]*)"|url\(([^)]*)\)', text)
    assert all((a or b).startswith(("#", "data:")) for a, b in loaded)
    assert not re.search(r"<(script|link|iframe|object)\b|@import", text)


def test_page_states_findings_settings_and_files(full):
    out, result = full
    text = " ".join(read_page(out)[1].itertext())
    for findings in result["findings"].values():
        for finding in findings:
            assert finding["text"].replace("`", "") in text
    for words in ("Question", "Method", "What it shows", "made up", "recalibrated on", "commit"):
        assert words in text
    for path in out.glob("*.csv"):
        assert path.name in text
    summary = json.loads((out / "report.json").read_text())
    assert summary["findings"] == result["findings"]
    assert summary["settings"]["gating"] == "coupled"
    assert "40 of the images themselves" in summary["settings"]["batch statistics recalibrated on"]
    assert {"python", "keras"} <= {
        v.split()[0] for v in summary["settings"]["versions"].split(", ")
    }


@pytest.mark.slow
def test_sentences_change_with_the_network(full, tmp_path):
    """Blocks that add nothing can be left out; those of the first report cannot all."""
    model = make_model("residual", blocks=(3, 2))
    for stage in model.backbone.stages:
        for block in stage[1:]:
            block.transform.norms[-1].gamma.assign(0 * block.transform.norms[-1].gamma)
            block.transform.norms[-1].beta.assign(0 * block.transform.norms[-1].beta)
    examples = make_examples(400)
    found = reporting.analyze(
        model, tmp_path / "x", examples, only=["lesion", "repeat"], recalibrate=0
    )["findings"]
    # Without a difference in any answer, the interval of a change is narrow.
    assert "for" in {f["verdict"] for f in found["repeat"]}
    assert "against" not in {f["verdict"] for f in found["repeat"]}
    assert "+0.0 points" in found["repeat"][0]["text"]
    assert found["repeat"] != full[1]["findings"]["repeat"]


@pytest.mark.slow
def test_pictures_without_labels_are_measured_as_far_as_that_goes(tmp_path):
    place = write_pictures(tmp_path / "pictures", 12)
    out = tmp_path / "report"
    result = reporting.analyze(make_model(), out, data_dir=place)
    assert set(result["skipped"]) == {"readout", "separation"}
    assert result["measured"] == [n for n in MEASUREMENTS if n not in result["skipped"]]
    assert result["n"] == 12
    text = " ".join(read_page(out)[1].itertext())
    assert "the pictures have no labels: what needs them was not measured" in text
    rows = read_rows(out / "lesion.csv")
    assert {row["accuracy"] for row in rows} == {""}
    assert all(row["agreement"] for row in rows)
    assert {row["gradient_cosine"] for row in read_rows(out / "geometry.csv")} == {""}
    assert not (out / "gate_stats_class.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "alike"])
def test_pictures_that_do_not_differ_leave_numbers_out(tmp_path, kind):
    examples = make_examples(1 if kind == "one" else 24)
    if kind == "alike":
        examples.images[:] = 200
    out = tmp_path / "x"
    result = reporting.analyze(make_model(), out, examples, recalibrate=0)
    assert set(result["skipped"]) == ({"cka", "separation"} if kind == "one" else set())
    assert {row["optimal"] for row in read_rows(out / "optimal_gate.csv")} == {""}
    assert "nan" not in (out / "report.html").read_text().lower()


@pytest.mark.slow
@pytest.mark.parametrize("gating", ["coupled", "plain"])
def test_gated_layers_of_a_language_model_are_observed(tmp_path, gating):
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    options = {**TINY, "num_layers": 2, "gating": gating}
    model = models.character_lm(tokenizer=tokenizer, **options)
    (tmp_path / "test.txt").write_text(TEXT * 4)
    out = tmp_path / "report"
    result = reporting.analyze(model, out, data_dir=tmp_path, limit=50)
    expected = {"estimation_error", "residual_mean", "gate_stats", "optimal_gate", "geometry"}
    if gating == "plain":
        expected -= {"residual_mean", "optimal_gate", "geometry"}
    assert set(result["measured"]) == expected
    assert result["split"] == "test, the first 50 words"
    assert "no class scores" in result["skipped"]["lesion"]
    assert "50 words" in " ".join(read_page(out)[1].itertext())
    with pytest.raises(InputError, match="Received: lesion; its blocks lead to no class scores"):
        reporting.analyze(model, tmp_path / "y", data_dir=tmp_path, only=["lesion"])


def test_language_model_needs_its_text_and_a_control_of_its_kind(tmp_path):
    tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
    model = models.character_lm(tokenizer=tokenizer, **TINY)
    with pytest.raises(InputError, match="Expected --data-dir"):
        reporting.analyze(model, tmp_path / "x")
    with pytest.raises(InputError, match="Expected a control for the same kind of data"):
        reporting.analyze(make_model(), tmp_path / "x", make_examples(), control=model)
    assert list(tmp_path.iterdir()) == []


def test_network_without_batch_statistics_is_not_recalibrated(tmp_path):
    model = make_model("residual")
    config = {**model.backbone.get_config(), "normalization": None}
    other = models.ImageClassifier(models.ImageBackbone.from_config(config), 4)
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    examples = data.Examples(images, np.arange(8) % 4, ("0", "1", "2", "3"), "floats")
    reporting.analyze(other, tmp_path / "x", examples, only=["parallel"])
    summary = json.loads((tmp_path / "x" / "report.json").read_text())
    assert summary["settings"]["batch statistics recalibrated on"] == "none"


@pytest.mark.slow
def test_only_a_report_is_replaced_and_only_if_asked_to(tmp_path):
    out, model, options = tmp_path / "report", make_model(), {"only": ["cka"]}
    reporting.analyze(model, out, make_examples(8), **options)
    with pytest.raises(InputError, match=r"Found one at .*pass --overwrite"):
        reporting.analyze(model, out, make_examples(8), **options)
    (out / "old.txt").write_text("x")
    reporting.analyze(model, out, make_examples(8), **options, overwrite=True)
    assert not (out / "old.txt").exists()
    (out / "report.json").unlink()
    with pytest.raises(InputError, match="Found something else at"):
        reporting.analyze(model, out, make_examples(8), **options, overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        reporting.analyze(model, tmp_path / "file" / "report", make_examples(8))


def test_error_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("keras_unrolled.reporting.analysis.write_page", fail)
    with pytest.raises(InputError, match="Nothing was left behind"):
        reporting.analyze(make_model(), tmp_path / "x", make_examples(8), only=["cka"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "`limit`"),
        ({"recalibrate": -1}, "`recalibrate`"),
        ({"probes": 1.5}, "`probes`"),
        ({"only": ["lesoin"]}, "Did you mean 'lesion'"),
    ],
)
def test_bad_options_are_rejected(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        reporting.analyze(make_model(), tmp_path / "x", make_examples(8), **options)


@pytest.mark.slow
def test_command_in_the_report_makes_it_again(tmp_path):
    folder = tmp_path / "my preset"
    ku.save_preset(make_model(), folder)
    place = write_pictures(tmp_path / "pictures", 6)
    out = tmp_path / "report"
    reporting.analyze(folder, out, place, only=["cka"], limit=5, recalibrate=0)
    command = json.loads((out / "report.json").read_text())["settings"]["command"]
    assert command == (
        f"keras-unrolled analyze '{folder}' --out {out} --dataset {place} --only cka --limit 5 "
        "--recalibrate 0"
    )
    shutil.rmtree(out)
