"""The presets that come with the package."""

import csv
import re

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import analysis, data, evaluation
from keras_unrolled.layers import BLOCK_TYPES
from tests.conftest import ROOT, first_fast
from training.recipes.cifar10 import CLASSIC

PAIR = ["highway_bn_cifar10", "resnet_bn_cifar10"]
IMAGES, TEXTS = (
    [record.name for record in ku.list_presets(dataset=dataset) if record.has_weights]
    for dataset in ("cifar10", "ptb")
)
DEEP = [name for name in IMAGES if re.search(r"\d", name.partition("_")[0])]  # which take minutes


def test_presets_are_listed_with_their_figures():
    found = ku.list_presets(dataset="cifar10")
    assert {record.name for record in found} == CLASSIC.keys()
    assert set(PAIR) <= set(IMAGES)
    assert "highway_bn_cifar10" in str(found)
    names = [record.name for record in ku.list_presets("highway*", dataset="cifar10")]
    assert names == [record.name for record in found if record.name.startswith("highway")]
    assert list(ku.list_presets("nothing*")) == []
    for name in IMAGES + TEXTS:
        record = ku.load_record(name)
        assert record.origin == "trained"
        assert record.training["commit"]
        assert record.metrics
    imagenet = ku.list_presets(dataset="imagenet")
    assert len(imagenet) == 9
    language = ku.list_presets(dataset="ptb")
    assert len(language) == 12
    assert len(ku.list_presets()) == len(found) + len(imagenet) + len(language)
    assert "80.38%*" in str(imagenet)


@pytest.mark.parametrize("record", ku.list_presets(), ids=lambda record: record.name)
def test_name_matches_the_record(record):
    kinds = r"([a-z]+)(\d*)(_\w+?)?_(bn|nobn|small|large)_(\w+)"
    family, depth, rest, normalization, dataset = re.fullmatch(kinds, record.name).groups()
    network = family + (rest or "")
    gatings = {"plain": "plain", "resnet": "residual", "highway": "coupled"}
    gating = gatings.get(network) or network.removeprefix("highway_")
    if record.task == "text-generation":
        assert record.network["gating"] == gating
        assert record.network["units"] == {"small": 300, "large": 650}[normalization]
        assert dataset == "ptb"
        return
    hrelu = gating == "hrelu"
    kernels = len(BLOCK_TYPES[record.network["block_type"]][0])
    layers = 2 + kernels * sum(record.network["stackwise_num_blocks"])
    assert layers == int(depth or {"cifar10": 20, "imagenet": 50}[dataset])
    assert record.network["gating"] == ("coupled" if hrelu else gating)
    assert record.network["transform_relu"] == hrelu
    assert record.network["normalization"] == {"bn": "batch", "nobn": None}[normalization]
    assert dataset == ("imagenet" if record.label_set else "cifar10")


def test_pair_is_of_one_size_and_of_one_accuracy():
    highway, resnet = (ku.load_record(name) for name in PAIR)
    assert abs(highway.parameters / resnet.parameters - 1) < 0.05
    assert resnet.score("cifar10") >= 0.91
    assert highway.score("cifar10") >= resnet.score("cifar10") - 0.005


@pytest.mark.parametrize("name", IMAGES + TEXTS)
def test_log_of_a_trained_preset_is_kept(name):
    with (ROOT / "zoo/results/logs" / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = ku.load_record(name).training["recipe"]["epochs"]
    assert [int(row["epoch"]) for row in rows] == list(range(1, epochs + 1))
    losses = [float(row["loss"]) for row in rows]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", first_fast(PAIR[0], *DEEP))
def test_sample_is_classified_as_well_as_the_record_says(name):
    sample = data.load_sample()
    model = ku.from_preset(name)
    assert tuple(model.labels) == sample.names
    accuracy = evaluation.accuracy(evaluation.predict(model, sample.images), sample.labels)
    expected = ku.load_record(name).score("cifar10")
    # Within three standard deviations of a thousand draws.
    assert abs(accuracy - expected) < 3 * (expected * (1 - expected) / 1000) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIR)  # all of them take minutes
def test_whole_test_set_gives_the_recorded_accuracy(name, tfds_dir):
    test = data.load_cifar10(tfds_dir, "test")
    accuracy = evaluation.accuracy(
        evaluation.predict(ku.from_preset(name), test.images), test.labels
    )
    # Another processor may round a near tie the other way: two images of ten thousand.
    assert abs(accuracy - ku.load_record(name).score("cifar10")) <= 2e-4


@pytest.mark.slow
def test_test_text_gives_the_recorded_perplexity(ptb_dir):
    record, words = ku.load_record("highway_small_ptb"), data.read_words(ptb_dir, "test")
    found = evaluation.perplexity(ku.from_preset("highway_small_ptb"), words, batch_size=20)
    assert found["tokens"] == 82_430
    # The record's is of one text from end to end; in twenty parts the first words know less.
    assert found["perplexity"] == pytest.approx(record.score("ptb", metric="perplexity"), rel=0.01)


@pytest.mark.parametrize("name", first_fast(*TEXTS))
def test_beginning_of_the_test_text_is_as_much_easier_for_every_preset(name, ptb_dir):
    words = data.read_words(ptb_dir, "test")[:16_000]
    found = evaluation.perplexity(ku.from_preset(name), words, batch_size=20)
    recorded = ku.load_record(name).score("ptb", metric="perplexity")
    # Measured: 0.911 to 0.919 of that of the whole text.
    assert found["perplexity"] / recorded == pytest.approx(0.915, rel=0.01)


@pytest.mark.slow
def test_sample_is_of_the_test_set(tfds_dir):
    sample, test = data.load_sample(), data.load_cifar10(tfds_dir, "test")
    assert np.bincount(sample.labels).tolist() == [100] * 10
    known = {image.tobytes(): label for image, label in zip(test.images, test.labels)}
    for image, label in zip(sample.images, sample.labels):
        assert known[image.tobytes()] == label


def test_gates_of_a_trained_highway_net_have_left_their_bias():
    images = data.load_sample().images[:100]
    openings = analysis.gate_openings(ku.from_preset("highway_bn_cifar10"), images)
    assert len(openings) == 9
    transform = np.array([t for t, _ in openings.values()])
    carry = np.array([c for _, c in openings.values()])
    np.testing.assert_allclose(transform + carry, 1, atol=1e-6)
    assert np.ptp(transform) > 0.02
    fixed = analysis.gate_openings(ku.from_preset("resnet_bn_cifar10"), images)
    assert set(fixed.values()) == {(1.0, 1.0)}
