"""The temperature that the held-out images of a fine-tuning choose."""

import csv

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import cli, data
from keras_unrolled.finetuning.run import finetune
from keras_unrolled.presets.calibration import find_temperature


def write_pictures(folder, examples):
    for i, (image, label) in enumerate(zip(examples.images, examples.labels)):
        place = folder / examples.names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i:03d}.png")


@pytest.fixture(scope="module")
def pets():
    """Cats and dogs of the bundled sample: 120 to train on, 80 to test."""
    sample = data.load_sample()
    chosen = [i for i, label in enumerate(sample.labels) if sample.names[label] in ("cat", "dog")]
    images, labels = sample.images[chosen], sample.labels[chosen] == sample.names.index("dog")
    pets = data.Examples(images, labels.astype("int64"), ("cat", "dog"), "made up")
    return pets.take(range(120)), pets.take(range(120, 200))


def loss(scores, labels, temperature):
    """The negative log-likelihood, in plain NumPy."""
    scaled = scores.astype("float64") / temperature
    log_p = scaled - np.log(np.exp(scaled).sum(-1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


@pytest.mark.slow
def test_record_has_the_temperature_with_the_least_loss_on_the_held_out_images(
    pets, tmp_path, capsys
):
    train, test = pets
    for part, examples in (("train", train), ("test", test)):
        write_pictures(tmp_path / "pictures" / part, examples)
    result = finetune(
        "resnet_bn_cifar10",
        tmp_path / "pictures",
        tmp_path / "out",
        epochs=2,
        head_only=True,
        patience=2,
        held_out=0.5,
    )
    found = ku.load_record(tmp_path / "out").calibration
    model = ku.from_preset(tmp_path / "out")
    assert found["temperature"] == result["temperature"] == find_temperature(model)
    assert (found["n"], found["split"], found["scored_on"]) == (60, "held out", "pictures test")
    assert "also chose" in found["origin"]  # the best epoch
    with (tmp_path / "out" / "held_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([np.asarray(Image.open(tmp_path / "pictures" / r["file"])) for r in rows])
    labels = np.array([model.labels.index(row["label"]) for row in rows])
    scores = model.predict(images, verbose=0)
    losses = {t: loss(scores, labels, found["temperature"] * t) for t in (0.9, 1, 1.1)}
    assert min(losses, key=losses.get) == 1
    scores = model.predict(test.images, verbose=0)
    for key, temperature in (("before", 1.0), ("after", found["temperature"])):
        expected = loss(scores, test.labels, temperature)
        assert found[key]["negative_log_likelihood"] == pytest.approx(expected, rel=1e-4)
    picture = str(tmp_path / "pictures" / rows[0]["file"])
    assert cli.main(["predict", str(tmp_path / "out"), picture, "--calibrated"]) == 0


@pytest.mark.slow
def test_few_held_out_images_choose_no_temperature(pets, tmp_path):
    few = pets[0].take(range(60))
    result = finetune("resnet_bn_cifar10", few, tmp_path / "out", epochs=1, head_only=True)
    assert result["temperature"] is None
    assert ku.load_record(tmp_path / "out").calibration == {}
