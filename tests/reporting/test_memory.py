"""Reports of images and networks in memory, and of data and folders that do not fit."""

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, analysis, reporting
from keras_unrolled.data.memory import as_examples
from keras_unrolled.reporting.analysis import check_report
from keras_unrolled.reporting.inputs import load_inputs
from keras_unrolled.reporting.memory import load_network
from tests.data.pictures import fill
from tests.reporting.nets import make_examples, make_model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.slow
def test_pair_of_images_and_labels_is_what_examples_are(model, tmp_path):
    examples = make_examples(8)
    options = {"only": "lesion", "recalibrate": 0}
    one = ku.analyze(model, tmp_path / "a", (examples.images, examples.labels), **options)
    two = ku.analyze(model, tmp_path / "b", examples, **options)
    assert one["measured"] == ["lesion"]
    assert one["findings"] == two["findings"]
    assert one["dataset"] == "images in memory"


def test_images_without_labels_are_an_array(model):
    found = load_inputs(model, make_examples(8).images, limit=5, recalibrate=0)
    assert len(found) == 5
    assert found.labels is None
    assert any("no labels" in note for note in found.notes)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (5, "Received: int"),
        ([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))], "pictures of several sizes"),
        ((np.zeros((2, 8, 8, 3)), [0]), "for each of 2 images"),
        ((np.zeros((2, 8, 8, 3)), [0, 4]), "0 to 3"),
        ((np.zeros((2, 8, 8, 3)), np.eye(2)), "argmax"),
    ],
)
def test_other_data_in_memory_are_rejected(model, dataset, message):
    with pytest.raises(InputError, match=message):
        as_examples(dataset, model.labels, model.num_classes)


def test_stack_is_a_network(model):
    stack = analysis.as_stack(model)
    assert load_network(stack)[:2] == (model, stack)
    with pytest.raises(InputError, match="Expected a network with residual or gated blocks"):
        load_network(keras.layers.Dense(1))


def test_classes_of_others_are_no_labels(model, tmp_path):
    place = fill(tmp_path / "x", ("ant", "bee"))
    found = load_inputs(model, place, recalibrate=0)
    assert found.labels is None
    assert any("Found others in the data: ant, bee" in note for note in found.notes)
    with pytest.raises(InputError, match="readout; it needs labels"):
        reporting.analyze(model, tmp_path / "r", place, only=["readout"], recalibrate=0)
    with pytest.raises(InputError, match="Expected labels, to say what pruning costs"):
        reporting.analyze(model, tmp_path / "r", place, prune=1, recalibrate=0)


def test_empty_names_are_rejected(model, tmp_path):
    with pytest.raises(InputError, match="which is empty"):
        check_report("", overwrite=False)
    with pytest.raises(InputError, match="Received an empty list"):
        reporting.analyze(model, tmp_path / "r", make_examples(8), only=[])


def test_folder_that_cannot_be_made_is_rejected_before_measuring(monkeypatch, tmp_path):
    def fail(**options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    with pytest.raises(InputError, match="Read-only file system"):
        check_report(tmp_path / "a" / "b", overwrite=False)
    monkeypatch.undo()
    assert check_report(tmp_path / "a" / "b", overwrite=False) == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []
