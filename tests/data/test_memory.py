"""Images in memory are taken where they are right, and refused where they would be read wrongly."""

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError
from keras_unrolled.data import Examples, ImageFiles
from keras_unrolled.data.loading import load_parts
from keras_unrolled.data.memory import as_bytes, as_examples, check_examples
from keras_unrolled.presets.scoring import load_images
from keras_unrolled.reporting.inputs import load_inputs
from tests.reporting.nets import LABELS, make_model

NAMES = ("cat", "dog")


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 8, 8, 3)).astype("uint8")


def test_pair_is_scored_as_examples_are(images):
    model = make_model()
    labels = np.arange(6) % len(LABELS)
    found = ku.evaluate(model, (images, labels))
    expected = (model.predict(images, verbose=0).argmax(-1) == labels).mean()
    assert found["accuracy"] == expected
    assert ku.evaluate(model, Examples(images, labels, tuple(LABELS), "x"))["accuracy"] == expected
    with pytest.raises(InputError, match="Pass the pair"):
        ku.evaluate(model, images)


def test_classes_of_a_pair_are_numbered():
    labels = np.array([0, 1, 0, 1])
    parts = load_parts((np.zeros((4, 8, 8, 3), "uint8"), labels), 0.5, 0)
    assert parts.examples.names == ("0", "1")
    assert len(parts.train) == len(parts.held) == 2
    with pytest.raises(InputError, match="Expected labels"):
        load_parts(np.zeros((4, 8, 8, 3), "uint8"), 0.5, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.arange(6) + 99}, "from 99 to 104"),
        ({"labels": np.arange(6) - 10}, "from -10 to -5"),
        ({"labels": np.array(["cat"] * 6)}, "strings, such as 'cat'"),
        ({"labels": np.full(6, 0.5)}, "float64"),
        ({"labels": np.zeros(5, int)}, "for each of 6 images"),
        ({"names": ("cat", "cat")}, "Received some twice"),
        ({"images": [np.zeros((8, 8, 3)), np.zeros((4, 8, 3))]}, "several sizes"),
        ({"images": np.zeros(6, object)}, r"Received the shape \(6,\) \(object\)"),
        ({"images": {"x": np.zeros((6, 8, 8, 3))}}, "Received: dict"),
        ({"images": ImageFiles([]), "labels": np.zeros(0, int)}, "for each of 0 images"),
    ],
    ids=["high", "low", "strings", "floats", "few", "names", "sizes", "objects", "dict", "none"],
)
def test_examples_that_do_not_go_together_are_rejected(images, change, message):
    facts = {"images": images, "labels": np.arange(6) % 2, "names": NAMES, "split": "mine"}
    examples = Examples(**{**facts, **change})
    with pytest.raises(InputError, match=message):
        check_examples(examples)
    with pytest.raises(InputError, match=message):
        load_parts(examples, 0.5, 0)
    with pytest.raises(InputError):
        as_examples(examples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / 255, "Convert them to uint8"),
        (lambda x: x * 1.0 + 300, "up to|to 555"),
        (lambda x: x - 128.0, "Convert them to uint8"),
        (lambda x: x.astype("int64") - 128, "Scale them"),
        (lambda x: x.astype("uint16") * 257, "Divide those of 16 bits"),
        (lambda x: np.where(x > 200, np.nan, x), "NaN"),
        (lambda x: x[..., :1], r"Expected images \(n, height, width, 3\)"),
        (lambda x: np.moveaxis(x, -1, 1), "Move the channels"),
    ],
    ids=["0 to 1", "bright", "around 0", "signed", "16 bits", "NaN", "gray", "channels first"],
)
@pytest.mark.filterwarnings("ignore:Expected images on a scale")
def test_images_that_uint8_cannot_hold_are_not_trained_on(images, change, message):
    examples = Examples(change(images), np.arange(6) % 2, NAMES, "mine")
    with pytest.raises(InputError, match=message):
        as_bytes(examples, 3)


def test_whole_numbers_of_another_type_are_trained_on_as_they_are(images):
    for dtype in ("float32", "int64"):
        found = as_bytes(Examples(images.astype(dtype), np.arange(6) % 2, NAMES, "mine"), 3)
        assert found.images.dtype == np.uint8
        np.testing.assert_array_equal(found.images, images)


def test_data_directory_of_images_in_memory_is_refused(images, tmp_path):
    pair, problem = (images, np.arange(6) % 2), "for images in memory. Leave it out"
    with pytest.raises(InputError, match=problem):
        load_parts(pair, 0.5, 0, data_dir=tmp_path)
    for use in (load_images, lambda data, model, **options: load_inputs(model, data, **options)):
        with pytest.raises(InputError, match=problem):
            use(pair, make_model(), data_dir=tmp_path)


def test_limit_draws_from_all_classes_of_data_in_their_order():
    labels = np.repeat(np.arange(len(LABELS)), 10)
    images = np.zeros((len(labels), 8, 8, 3), "uint8")
    examples, _ = load_images(Examples(images, labels, tuple(LABELS), "x"), make_model(), limit=4)
    assert sorted(examples.labels) == list(range(len(LABELS)))
    assert "drawn with seed 0" in examples.split
