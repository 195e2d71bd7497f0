import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_unrolled import InputError, data, evaluation, models
from tests.nets import randomize


@pytest.fixture(scope="module")
def model():
    model = models.highway(8, dataset="cifar")
    randomize(model)
    return model


@pytest.mark.slow
def test_scores_are_those_of_keras_predict(model, rng):
    images = rng.integers(0, 256, (260, 32, 32, 3)).astype("uint8")
    expected = model.predict(images, verbose=0, batch_size=250)
    np.testing.assert_allclose(evaluation.predict(model, images), expected, rtol=1e-5, atol=1e-6)


def test_array_a_list_and_files_give_the_same_scores(model, tmp_path, rng):
    images = rng.integers(0, 256, (6, 40, 28, 3)).astype("uint8")
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for image, path in zip(images, paths):
        Image.fromarray(image).save(path)
    expected = evaluation.predict(model, images)
    for same in (list(images), data.ImageFiles(paths), paths, [str(path) for path in paths]):
        np.testing.assert_array_equal(evaluation.predict(model, same), expected)


def test_single_path_is_rejected_with_what_to_pass(model):
    with pytest.raises(InputError, match=r"pass one picture as \[picture\]"):
        evaluation.predict(model, "photo.jpg")


def test_files_are_read_one_at_a_time(model, tmp_path, monkeypatch):
    import weakref

    alive = []

    def read(path):
        assert not [image for image in alive if image() is not None]
        image = np.asarray(Image.open(path)).copy()
        alive.append(weakref.ref(image))
        return image

    monkeypatch.setattr("keras_unrolled.data.files.read_image", read)
    Image.new("RGB", (40, 40)).save(tmp_path / "x.png")
    assert evaluation.predict(model, data.ImageFiles([tmp_path / "x.png"] * 3)).shape == (3, 10)
    assert len(alive) > 2


def test_images_of_different_sizes_are_taken_together(model, rng):
    sizes = [(32, 32), (64, 48), (20, 33)]
    images = [rng.integers(0, 256, (*size, 3)).astype("uint8") for size in sizes]
    scores = evaluation.predict(model, images)
    assert scores.shape == (3, 10)
    alone = evaluation.predict(model, [images[1]])
    np.testing.assert_allclose(scores[1:2], alone, rtol=1e-5, atol=1e-6)


def test_accuracy_is_the_share_of_right_answers():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert evaluation.accuracy(scores, np.array([1, 0, 0, 0])) == 0.75


@pytest.mark.parametrize("labels", [[1], np.eye(2), [[1], [0]], 1])
def test_labels_of_another_shape_are_rejected(labels):
    with pytest.raises(InputError, match=r"Of one-hot labels pass labels\.argmax"):
        evaluation.accuracy(np.eye(2), labels)
    with pytest.raises(InputError, match="Expected scores"):
        evaluation.accuracy(np.zeros((0, 2)), [])


def test_images_on_another_scale_are_warned_of_or_rejected(model, rng):
    images = rng.uniform(0, 1, (2, 32, 32, 3)).astype("float32")
    for wrong, message in ((images, "from 0 to 1"), (list(4 * images - 2), "normalized already")):
        with pytest.warns(UserWarning, match=message):
            evaluation.predict(model, wrong)
    with pytest.raises(InputError, match="Divide those of 16 bits by 257"):
        evaluation.predict(model, (65_535 * images).astype("uint16"))


def test_no_images_are_rejected(model):
    for none in ([], np.zeros((0, 32, 32, 3), "uint8")):
        with pytest.raises(InputError, match="Received none"):
            evaluation.predict(model, none)
    with pytest.raises(InputError, match=r"Received a .*Dataset\. Of a tf\.data\.Dataset call"):
        evaluation.predict(model, tf.data.Dataset.range(3))


@pytest.mark.parametrize("kind", ["mixed", "picture", "nested", "bytes", "dict", "empty name"])
def test_lists_of_other_things_are_rejected(model, tmp_path, kind):
    picture = Image.new("RGB", (32, 32))
    picture.save(tmp_path / "x.png")
    path = str(tmp_path / "x.png")
    images = {
        "mixed": [path, np.asarray(picture)],
        "picture": [picture],
        "nested": [[path]],
        "bytes": [path.encode()],
        "dict": {"a": path},
        "empty name": [""],
    }[kind]
    with pytest.raises(InputError, match=r"Expected (a list of arrays|images as an array|a path)"):
        evaluation.predict(model, images)


def test_tuple_of_paths_is_read_as_a_list(model, tmp_path, monkeypatch):
    Image.new("RGB", (32, 32), "red").save(tmp_path / "x.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = evaluation.predict(model, [tmp_path / "x.png"])
    np.testing.assert_array_equal(evaluation.predict(model, (tmp_path / "x.png",)), expected)
    np.testing.assert_array_equal(evaluation.predict(model, ["~/x.png"]), expected)


def test_name_in_place_of_a_model_is_rejected():
    with pytest.raises(InputError, match=r"Received a str\. Load a preset"):
        evaluation.predict("resnet_bn_cifar10", np.zeros((1, 32, 32, 3), "uint8"))
