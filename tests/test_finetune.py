"""Fine-tuning: what is frozen stays, what was interrupted goes on, what is asked for is done."""

import csv
import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled import finetune as ft
from tests.nets import randomize


def free_norms(model):
    """Paths of the normalisation layers that training may change."""
    return {
        layer.path
        for layer in model.backbone._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    }


@pytest.mark.parametrize("name", ["highway_bn_cifar10", "resnet_bn_cifar10"])
def test_batch_normalisation_stays_frozen_and_all_else_is_free(name):
    model = ku.from_preset(name)
    ft.freeze(model, whole=True)
    assert free_norms(model) == set()
    paths = {variable.path.split("/")[-1] for variable in model.trainable_variables}
    assert paths == {"kernel", "bias"}
    ft.freeze(model, whole=False)
    assert len(model.trainable_variables) == 2


def test_gates_that_have_not_learned_yet_keep_their_normalisation():
    model = ku.from_preset("resnet_bn_cifar10", gating="full")
    ft.freeze(model, whole=True)
    found = free_norms(model)
    assert len(found) == 9 * 2 * 2  # two gates a block, two norms a gate
    assert all("_gate/" in path for path in found)
    ft.freeze(model, whole=False)
    assert free_norms(model) == set()
    ft.freeze(model, whole=True, stages=1)
    assert len(free_norms(model)) == 3 * 2 * 2


def test_the_learning_rate_falls_from_block_to_block_down_to_the_stem():
    model = models.highway(20, dataset="cifar", activation_order="pre")
    factors = ft.layer_factors(model, 0.5)
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
    assert len(top) == 4  # with the normalisation after the last block


def test_a_factor_is_one_of_the_learning_rate():
    dense = keras.layers.Dense(2)
    dense.build((None, 3))
    optimizer = ft.LayerwiseAdam(0.1, [1.0, 0.25])
    optimizer.build(dense.trainable_variables)
    before = [keras.ops.convert_to_numpy(v) for v in dense.trainable_variables]
    optimizer.apply([np.ones((3, 2), "float32"), np.ones(2, "float32")])
    kernel, bias = (
        b - keras.ops.convert_to_numpy(v) for b, v in zip(before, dense.trainable_variables)
    )
    np.testing.assert_allclose(kernel, 0.1, rtol=1e-3)
    np.testing.assert_allclose(bias, 0.025, rtol=1e-3)


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


def test_an_interrupted_run_goes_on_to_the_very_weights_of_an_unbroken_one(
    preset, table, tmp_path, monkeypatch
):
    settings = {"epochs": 5, "batch_size": 8, "learning_rate": 1e-3}
    ft.finetune(preset, table, tmp_path / "whole", **settings)
    note = ft.Keep.on_epoch_end
    for done in (1, 2, 4):  # in the head's part, between the parts, and after it

        def fail(self, epoch, logs=None, done=done):
            note(self, epoch, logs)
            if self.progressed.epochs == done:
                raise KeyboardInterrupt

        monkeypatch.setattr(ft.Keep, "on_epoch_end", fail)
        with pytest.raises(KeyboardInterrupt):
            ft.finetune(preset, table, tmp_path / "broken", **settings)
        assert not (tmp_path / "broken").exists()
    with pytest.raises(InputError, match="batch_size was 8"):
        ft.finetune(preset, table, tmp_path / "broken", **{**settings, "batch_size": 4})
    monkeypatch.undo()
    found = ft.finetune(preset, table, tmp_path / "broken", **settings)
    assert found["epochs"] == 5
    for a, b in zip(arrays(tmp_path / "whole"), arrays(tmp_path / "broken"), strict=True):
        np.testing.assert_array_equal(a, b)
    history = [(tmp_path / n / "history.csv").read_text() for n in ("whole", "broken")]
    assert history[0] == history[1]
    assert not (tmp_path / "broken.partial").exists()


def test_only_the_last_stages_change_and_all_options_are_recorded(preset, table, tmp_path):
    found = ft.finetune(
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
    told = {k: record.training[k] for k in ("stages", "layer_decay", "balance", "precision")}
    assert told == {
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


def test_the_loss_counts_each_class_by_its_weight(preset):
    sample = data.load_sample()
    examples = sample.take(np.flatnonzero(sample.labels < 2)[:64])
    losses = []
    for weights in ([1.0, 0.0], [0.0, 1.0], [3.0, 0.5]):
        model = ku.from_preset(preset)
        ft.freeze(model, whole=False)
        weights = weights + [0.0] * 8
        options = {"epochs": 1, "batch_size": 64, "learning_rate": 0.0, "seed": 0}
        found = ft.fit_examples(model, examples, examples, class_weights=weights, **options)
        losses.append(found["loss"][0])
    assert losses[2] == pytest.approx(3 * losses[0] + 0.5 * losses[1], rel=1e-4)


def test_a_run_that_does_not_get_better_stops_and_keeps_its_best_epoch(preset, table, tmp_path):
    found = ft.finetune(
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
    found = ft.finetune(
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


def test_data_that_are_divided_already_stay_so(preset, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        for name in ("b", "a"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype("uint8"))
                image.save(tmp_path / "set" / part / name / f"{i}.png")
    found = ft.finetune(preset, tmp_path / "set", tmp_path / "out", epochs=1)
    assert found["n"] == 6
    assert found["classes"] == ["a", "b"]
    rows = read_rows(tmp_path / "out" / "held_out.csv")
    assert all("/val/" in row["file"] for row in rows)
    assert "the data hold out" in ku.load_record(tmp_path / "out").metrics[0]["origin"]


def test_a_data_set_of_tfds_is_named(preset, tfds_dir, tmp_path):
    name = "cifar10:train[:1%]"
    found = ft.finetune(preset, name, tmp_path / "out", epochs=1, head_only=True, data_dir=tfds_dir)
    assert found["n"] == 100
    assert found["classes"] == list(data.load_sample().names)
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["training"]["data"] == "400 images of 10 classes"


def test_damaged_states_and_impossible_choices_are_refused(preset, table, tmp_path):
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "state.npz").write_bytes(b"PK not an archive")
    with pytest.raises(InputError, match="damaged"):
        ft.finetune(preset, table, tmp_path / "out")
    for options, message in (
        ({"stages": 4}, "stages"),
        ({"stages": 1, "head_only": True}, "either head_only or stages"),
        ({"layer_decay": 1.5}, "layer_decay"),
        ({"patience": 0}, "patience"),
        ({"precision": "float8"}, "precision"),
    ):
        with pytest.raises(InputError, match=message):
            ft.finetune(preset, table, tmp_path / "other", **options)
    assert not (tmp_path / "other").exists()


def test_a_rate_that_ruins_the_network_is_told_and_leaves_nothing(preset, table, tmp_path):
    settings = {"epochs": 3, "head_learning_rate": 1e-3, "learning_rate": 100.0, "batch_size": 4}
    model = ku.from_preset(preset)
    for weight in model.weights:
        weight.assign(keras.ops.convert_to_numpy(weight) * 1e18)
    ku.save_preset(model, tmp_path / "huge")
    with pytest.raises(InputError, match="loss to stay finite"):
        ft.finetune(tmp_path / "huge", table, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
