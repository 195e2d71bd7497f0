"""Fine-tuning: what is frozen stays, an interrupted run resumes, and options take effect."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, evaluation, models
from keras_unrolled.engine import Stopped
from keras_unrolled.finetuning import phases, run
from keras_unrolled.finetuning.run import finetune
from keras_unrolled.presets.resolve import resolve
from tests.data.pictures import fill, write_image
from tests.nets import randomize


def free_norms(model):
    """Paths of the normalization layers that training may change."""
    return {
        layer.path
        for layer in model.backbone._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    }


@pytest.mark.parametrize("name", ["highway_bn_cifar10", "resnet_bn_cifar10"])
def test_batch_normalization_stays_frozen_and_the_rest_is_trainable(name):
    model = ku.from_preset(name)
    phases.freeze(model, whole=True)
    assert free_norms(model) == set()
    paths = {variable.path.split("/")[-1] for variable in model.trainable_variables}
    assert paths == {"kernel", "bias"}
    phases.freeze(model, whole=False)
    assert len(model.trainable_variables) == 2


@pytest.mark.slow
def test_gates_of_a_regated_network_keep_their_normalization_trainable():
    model = ku.from_preset("resnet_bn_cifar10", gating="full")
    phases.freeze(model, whole=True)
    found = free_norms(model)
    assert len(found) == 9 * 2 * 2  # two gates a block, two norms a gate
    assert all("_gate/" in path for path in found)
    phases.freeze(model, whole=False)
    assert free_norms(model) == set()
    phases.freeze(model, whole=True, stages=1)
    assert len(free_norms(model)) == 3 * 2 * 2


def test_learning_rate_falls_from_block_to_block_down_to_the_stem():
    model = models.highway(20, dataset="cifar", activation_order="pre")
    factors = phases.layer_factors(model, 0.5)
    found = {v.path: f for v, f in zip(model.trainable_variables, factors, strict=True)}
    blocks = [f"stage{s}_block{b}" for s in (1, 2, 3) for b in (1, 2, 3)]
    for path, factor in found.items():
        place = next((i for i, name in enumerate(blocks) if name in path.split("/")), None)
        if place is not None:
            assert factor == 0.5 ** (9 - place)
    assert {f for f in found.values() if f == 1} == {1.0}
    assert min(found.values()) == 0.5**10  # the stem
    top = [path for path, f in found.items() if f == 1]
    assert any("predictions" in path for path in top)
    assert len(top) == 4  # with the normalization after the last block


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = models.highway(
        8, dataset="cifar", labels=list(data.load_sample().names), layer_dropout=0.1
    )
    randomize(model)
    folder = tmp_path_factory.mktemp("finetune") / "small"
    ku.save_preset(model, folder)
    return folder


@pytest.fixture
def table(tmp_path):
    """A CSV file of thirty pictures of one class and six of another."""
    rng = np.random.default_rng(0)
    (tmp_path / "files").mkdir()
    with (tmp_path / "pictures.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "file"])
        for i in range(36):
            low = 0 if i < 30 else 120
            image = rng.integers(low, low + 130, (20, 24, 3)).astype("uint8")
            Image.fromarray(image).save(tmp_path / "files" / f"{i:02d}.png")
            rows.writerow(["dark" if i < 30 else "light", f"files/{i:02d}.png"])
    return tmp_path / "pictures.csv"


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def arrays(folder):
    return [keras.ops.convert_to_numpy(w) for w in ku.from_preset(folder).weights]


@pytest.mark.slow
def test_interrupted_run_ends_with_the_weights_of_an_unbroken_one(
    preset, table, tmp_path, monkeypatch
):
    settings = {"epochs": 5, "batch_size": 8, "learning_rate": 1e-3}
    finetune(preset, table, tmp_path / "whole", **settings)
    evaluate, seen = run.Finetuning._evaluate, []

    class PowerCutError(Exception):
        pass

    def fail(self, model):
        seen.append(1)
        if len(seen) == 2:
            raise PowerCutError
        return evaluate(self, model)

    monkeypatch.setattr(run.Finetuning, "_evaluate", fail)
    for _ in range(3):  # in the first phase, at its end, and in the second
        seen.clear()
        with pytest.raises(PowerCutError):
            finetune(preset, table, tmp_path / "broken", **settings)
        assert not (tmp_path / "broken").exists()
    monkeypatch.undo()
    with pytest.raises(InputError, match="batch_size was 8"):
        finetune(preset, table, tmp_path / "broken", **{**settings, "batch_size": 4})
    result = finetune(preset, table, tmp_path / "broken", **settings)
    assert result["epochs"] == 5
    for a, b in zip(arrays(tmp_path / "whole"), arrays(tmp_path / "broken"), strict=True):
        np.testing.assert_array_equal(a, b)
    history = [(tmp_path / n / "history.csv").read_text() for n in ("whole", "broken")]
    assert history[0] == history[1]
    assert not (tmp_path / "broken.partial").exists()


@pytest.mark.parametrize("change", ["pictures", "swapped", "renamed", "labels", "base"])
def test_run_is_not_resumed_with_other_data_or_another_base(preset, table, tmp_path, change):
    settings = {"epochs": 2, "batch_size": 8}
    files = table.parent / "files"
    task = run.Finetuning(preset, table, tmp_path / "out", None, run.Options(**settings))
    before = task.identity
    if change == "pictures":
        Image.new("RGB", (50, 50)).save(files / "00.png")
    elif change == "swapped":
        for old, new in (("00", "x"), ("01", "00"), ("x", "01")):
            (files / f"{old}.png").rename(files / f"{new}.png")
    elif change == "renamed":
        (files / "00.png").rename(files / "99.png")
        table.write_text(table.read_text().replace("00.png", "99.png"))
    elif change == "labels":
        table.write_text(table.read_text().replace("dark,files/00", "light,files/00"))
    else:
        model = ku.from_preset(preset)
        model.output_dense.bias.assign(model.output_dense.bias + 1)
        block = model.backbone.stages[0][0].transform.convs[0]
        block.kernel.assign(block.kernel * 2)
        preset = tmp_path / "small"
        ku.save_preset(model, preset)
    task = run.Finetuning(preset, table, tmp_path / "out", None, run.Options(**settings))
    different = {key for key in before if before[key] != task.identity[key]}
    assert different == {"base_weights" if change == "base" else "data"}


@pytest.mark.parametrize("change", ["test", "converter"])
def test_run_is_not_resumed_with_another_test_part_or_preprocessing(preset, tmp_path, change):
    for part in ("train", "val", "test"):
        fill(tmp_path / "data" / part, count=2)
    base = tmp_path / "base"
    shutil.copytree(resolve(preset)[0], base)
    for name in ("record.json", "golden.npz"):
        (base / name).unlink()

    def identify():
        options = run.Options(epochs=2)
        return run.Finetuning(base, tmp_path / "data", tmp_path / "out", None, options).identity

    before = identify()
    if change == "test":
        write_image(tmp_path / "data" / "test" / "cat" / "0.png", np.zeros((9, 9, 3), "uint8"))
    else:
        path = base / "preprocessor.json"
        path.write_text(path.read_text().replace('"crop_fraction": 1.0', '"crop_fraction": 0.9'))
    after = identify()
    different = {key for key in before if before[key] != after[key]}
    assert different == {"test_data" if change == "test" else "base_weights"}


@pytest.mark.slow
def test_only_the_last_stages_change_and_options_are_recorded(preset, table, tmp_path):
    found = finetune(
        preset,
        table,
        tmp_path / "out",
        epochs=3,
        stages=1,
        layer_decay=0.8,
        balance=True,
        precision="mixed_bfloat16",
        learning_rate=1e-2,
    )
    old = {w.path: keras.ops.convert_to_numpy(w) for w in ku.from_preset(preset).weights}
    model = ku.from_preset(tmp_path / "out")
    changed = {
        w.path
        for w in model.weights
        if w.path in old and not np.array_equal(old[w.path], keras.ops.convert_to_numpy(w))
    }
    body = {path for path in changed if "predictions" not in path}
    assert body
    assert all("stage3" in path for path in body)
    assert all(path.split("/")[-1] in ("kernel", "bias") for path in body)
    record = ku.load_record(tmp_path / "out")
    options = {k: record.training[k] for k in ("stages", "layer_decay", "balance", "precision")}
    assert options == {
        "stages": 1,
        "layer_decay": 0.8,
        "balance": True,
        "precision": "mixed_bfloat16",
    }
    # Scored as it is saved, in float32.
    rows = read_rows(tmp_path / "out" / "held_out.csv")
    images = [data.read_image(row["file"]) for row in rows]
    best = model.decode(ku.evaluation.predict(model, images), top=1)
    assert [(row["predicted"], float(row["probability"])) for row in rows] == [b[0] for b in best]
    right = [row["label"] == row["predicted"] for row in rows]
    assert found["accuracy"] == np.mean(right)
    recalls = [
        np.mean([r for r, row in zip(right, rows) if row["label"] == name])
        for name in ("dark", "light")
    ]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    with Image.open(tmp_path / "out" / "confusion.png") as picture:
        assert min(picture.size) > 400


def test_balance_weighs_rare_classes_as_much_as_frequent_ones(preset, table, tmp_path):
    task = run.Finetuning(preset, table, tmp_path / "out", None, run.Options(balance=True))
    dark, light = task._class_weights()
    counts = np.bincount(task.examples.labels[task.parts[0]])
    assert dark * counts[0] == pytest.approx(light * counts[1])
    assert dark * counts[0] + light * counts[1] == pytest.approx(counts.sum())


@pytest.mark.slow
def test_patience_stops_the_run_and_keeps_the_best_epoch(preset, table, tmp_path):
    found = finetune(
        preset,
        table,
        tmp_path / "out",
        epochs=9,
        head_only=True,
        head_learning_rate=0.0,
        patience=2,
    )
    assert found["epochs"] == 3
    # A rate at which the head soon does worse than at its best.
    found = finetune(
        preset,
        table,
        tmp_path / "wild",
        epochs=12,
        batch_size=4,
        head_only=True,
        head_learning_rate=3.0,
        patience=3,
    )
    rows = read_rows(tmp_path / "wild" / "history.csv")
    scores = [float(row["val_accuracy"]) for row in rows]
    assert found["accuracy"] == pytest.approx(max(scores))
    assert "chose the epoch" in ku.load_record(tmp_path / "wild").metrics[0]["origin"]


@pytest.mark.slow
def test_divided_data_stay_divided(preset, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        for name in ("b", "a"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype("uint8"))
                image.save(tmp_path / "set" / part / name / f"{i}.png")
    found = finetune(preset, tmp_path / "set", tmp_path / "out", epochs=1)
    assert found["n"] == 6
    assert found["classes"] == ["a", "b"]
    rows = read_rows(tmp_path / "out" / "held_out.csv")
    assert all("/val/" in row["file"] for row in rows)
    assert "the data that is held out" in ku.load_record(tmp_path / "out").metrics[0]["origin"]


@pytest.mark.slow
def test_data_set_of_tfds_is_fine_tuned_on(preset, tfds_dir, tmp_path):
    name = "cifar10:train[:1%]"
    found = finetune(preset, name, tmp_path / "out", epochs=1, head_only=True, data_dir=tfds_dir)
    assert found["n"] == 100
    assert found["classes"] == list(data.load_sample().names)
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["training"]["data"] == "400 images of 10 classes"


def test_impossible_options_are_rejected(preset, table, tmp_path):
    for options, message in (
        ({"stages": 4}, "stages"),
        ({"stages": 1, "head_only": True}, "either head_only or stages"),
        ({"layer_decay": 1.5}, "layer_decay"),
        ({"patience": 0}, "patience"),
        ({"precision": "float8"}, "precision"),
        ({"rates": 1}, "finetune"),
    ):
        with pytest.raises(InputError, match=message):
            finetune(preset, table, tmp_path / "other", **options)
    with pytest.raises(InputError, match=r"name for the data. Received: '', which is empty"):
        finetune(preset, "", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_rate_that_breaks_the_network_is_reported_and_leaves_nothing(preset, table, tmp_path):
    settings = {"epochs": 3, "head_learning_rate": 1e-3, "learning_rate": 100.0, "batch_size": 4}
    model = ku.from_preset(preset)
    for weight in model.weights:
        weight.assign(keras.ops.convert_to_numpy(weight) * 1e18)
    ku.save_preset(model, tmp_path / "huge")
    with pytest.raises(InputError, match="loss to stay finite") as error:
        finetune(tmp_path / "huge", table, tmp_path / "out", **settings)
    assert "checkpoint" not in str(error.value)  # none is left
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


def test_disk_without_room_for_the_preset_is_reported_before_the_training(
    preset, table, tmp_path, monkeypatch
):
    import collections

    free = collections.namedtuple("usage", "free")(2**20)
    monkeypatch.setattr("keras_unrolled.files.shutil.disk_usage", lambda place: free)
    monkeypatch.setattr("keras_unrolled.engine.train", lambda *args: pytest.fail("trained"))
    with pytest.raises(InputError, match="MB of room"):
        finetune(preset, table, tmp_path / "out", epochs=1, head_only=True)
    assert not (tmp_path / "out.partial").exists()


def test_damaged_picture_is_named_before_the_training(preset, table, tmp_path):
    (table.parent / "files" / "07.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"07\.png"):
        finetune(preset, table, tmp_path / "out", epochs=1)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_broken_pictures_are_left_out_on_request(preset, table, tmp_path):
    (table.parent / "files" / "07.png").write_bytes(b"nothing")
    settings = {"epochs": 1, "head_only": True, "skip_broken": True}
    result = finetune(preset, table, tmp_path / "out", **settings)
    assert "1 of 36 images do not decode" in result["notes"][0]
    assert ku.load_record(tmp_path / "out").training["skip_broken"] is True


@pytest.mark.slow
def test_test_part_is_scored_once_and_recorded(preset, tmp_path):
    for part, count in (("train", 6), ("valid", 4), ("test", 5)):
        fill(tmp_path / "parts" / part, count=count)
    result = finetune(preset, tmp_path / "parts", tmp_path / "out", epochs=1, head_only=True)
    assert (result["n"], result["test"]["n"]) == (8, 10)
    held, test = ku.load_record(tmp_path / "out").metrics
    assert (held["split"], test["split"]) == ("held out", "test")
    assert test["value"] == result["test"]["accuracy"]
    model = ku.from_preset(tmp_path / "out")
    images = data.load_folder(tmp_path / "parts" / "test")
    scores = evaluation.predict(model, images.images)
    assert evaluation.accuracy(scores, images.labels) == test["value"]


@pytest.mark.slow
def test_extra_file_that_cannot_be_written_does_not_cost_the_preset(
    preset, table, tmp_path, monkeypatch
):
    from keras_unrolled.finetuning import report

    monkeypatch.setattr(report.plots, "plot_curves", None)
    result = finetune(preset, table, tmp_path / "out", epochs=1, head_only=True)
    assert result["notes"][0].startswith("curves.png could not be written (TypeError")
    assert (tmp_path / "out" / "confusion.png").is_file()
    assert ku.from_preset(tmp_path / "out").num_classes == 2


def test_examples_in_memory_are_fine_tuned_on(preset, tmp_path):
    sample = data.load_sample()
    two = sample.take(np.flatnonzero(sample.labels < 2))
    two = data.Examples(two.images, two.labels, sample.names[:2], "two classes")
    result = finetune(preset, two, tmp_path / "out", epochs=1, head_only=True)
    assert result["n"] == 40
    assert ku.load_record(tmp_path / "out").dataset == "two classes"


@pytest.mark.slow
def test_stop_request_saves_and_the_run_resumes(preset, table, tmp_path, monkeypatch):
    import os
    import signal

    evaluate = run.Finetuning._evaluate

    def stop(self, model):
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(self, model)

    settings = {"epochs": 3, "head_only": True}
    monkeypatch.setattr(run.Finetuning, "_evaluate", stop)
    with pytest.raises(Stopped, match="the same command resumes") as error:
        finetune(preset, table, tmp_path / "out", **settings)
    assert error.value.exit_code == 130
    monkeypatch.undo()
    assert finetune(preset, table, tmp_path / "out", **settings)["epochs"] == 3


@pytest.mark.slow
def test_second_phase_takes_a_rate_by_how_well_the_head_fits(preset, table, tmp_path):
    result = finetune(preset, table, tmp_path / "out", epochs=3)
    head, network = result["phases"]
    expected = 1e-3 * max(0.1, 1 - head["accuracy"])
    assert network["learning_rate"] == pytest.approx(expected)
    assert ku.load_record(tmp_path / "out").training["learning_rate"] == network["learning_rate"]
    assert phases.choose_learning_rate(1.0) == pytest.approx(1e-4)
    assert phases.choose_learning_rate(0.4) == pytest.approx(6e-4)
