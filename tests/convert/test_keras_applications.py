"""A network of keras.applications, with its weights, computes the same here."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from keras_unrolled import InputError, convert
from tests.conftest import first_fast


def make(name="ResNet50", **options):
    model = getattr(keras.applications, name)(weights=None, **options)
    rng = np.random.default_rng(5)
    for weight in model.weights:
        kind = weight.path.split("/")[-1]
        if kind == "gamma":
            weight.assign(rng.uniform(0.5, 1.0, weight.shape))
        elif kind == "moving_variance":
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(6).integers(0, 256, (2, 256, 256, 3)).astype("uint8")


@pytest.fixture(scope="module")
def theirs():
    return make(classifier_activation=None)


def scores_of(model, images):
    """What a user of keras.applications computes of the center of the images."""
    cut = images[:, 16:240, 16:240].astype("float32")
    return np.asarray(model(keras.applications.resnet.preprocess_input(cut), training=False))


def difference(model, images, expected):
    found = np.asarray(model(model.preprocessor(images), training=False))
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.slow
def test_model_in_memory_gives_the_same_scores_for_raw_images(theirs, images):
    ours = convert.from_keras_applications(theirs)
    assert difference(ours, images, scores_of(theirs, images)) < 1e-4
    assert ours.labels[1] == "goldfish"
    assert ours.activation is None


@pytest.mark.slow
def test_its_activation_and_its_classes_are_kept(images):
    theirs = make("ResNet101", classes=7)
    ours = convert.from_keras_applications(theirs)
    assert (ours.num_classes, ours.labels) == (7, None)
    assert ours.backbone.stackwise_num_blocks == [3, 4, 23, 3]
    np.testing.assert_allclose(
        np.asarray(ours(ours.preprocessor(images), training=False)),
        scores_of(theirs, images),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    "name", first_fast("weights.h5", "net.weights.h5", "model.keras", "model.h5")
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_files_of_models_and_of_weights_are_read(theirs, images, tmp_path, name):
    path = tmp_path / name
    if name == "weights.h5":
        # The layout in which keras.applications publishes its weights.
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    elif name == "net.weights.h5":
        theirs.save_weights(path)
    else:
        theirs.save(path)
    ours = convert.from_keras_applications(path)
    expected = scores_of(theirs, images)
    if name.endswith("weights.h5"):  # it does not tell the activation: softmax, as they build it
        assert ours.activation == "softmax"
        expected = keras.ops.convert_to_numpy(keras.ops.softmax(expected))
    assert difference(ours, images, expected) < 1e-4


@pytest.mark.slow
def test_other_networks_are_rejected_by_name_and_reason(theirs, tmp_path):
    with pytest.raises(InputError, match=r"'resnet50v2', a V2 net, which strides in the last"):
        convert.from_keras_applications(keras.applications.ResNet50V2(weights=None))
    with pytest.raises(InputError, match="Only these three can be converted"):
        convert.from_keras_applications(keras.applications.MobileNet(weights=None))
    with pytest.raises(InputError, match="include_top=True"):
        convert.from_keras_applications(make(include_top=False))
    with pytest.raises(InputError, match="Did you mean 'ResNet50'"):
        convert.from_keras_applications("resnet50")
    (tmp_path / "broken.keras").write_bytes(b"no")
    (tmp_path / "broken.h5").write_bytes(b"no")
    for name in ("broken.keras", "broken.h5"):
        with pytest.raises(InputError, match="a model that Keras can load"):
            convert.from_keras_applications(tmp_path / name)
