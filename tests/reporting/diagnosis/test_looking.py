import keras
import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, data, evaluation, models
from keras_unrolled.reporting.diagnosis.looking import look
from tests.reporting.nets import make_examples, make_model


@pytest.fixture(scope="module")
def model():
    return make_model("coupled")


@pytest.fixture(scope="module")
def seen(model):
    return look(model, make_examples(12).images)


def test_scores_are_those_of_predict_for_images_and_mirror_images(model, seen):
    images = make_examples(12).images
    assert seen.scores == pytest.approx(evaluation.predict(model, images), abs=1e-5)
    mirrored = evaluation.predict(model, images[:, :, ::-1])
    assert seen.mirrored == pytest.approx(mirrored, abs=1e-5)
    assert seen.scores != pytest.approx(seen.mirrored, abs=1e-3)


def test_features_are_the_mean_over_places_of_the_backbones_output(model, seen):
    x = model.preprocessor(make_examples(12).images)
    states = keras.ops.convert_to_numpy(model.backbone(x))
    assert seen.features == pytest.approx(states.mean((1, 2)), abs=1e-5)


@pytest.mark.slow
def test_digests_are_the_same_for_the_same_pixels_only(model):
    images = make_examples(6).images
    images[4] = images[1]
    images[5] = images[2]
    images[5, 0, 0, 0] ^= 1
    seen = look(model, images, mirror=False)
    assert seen.mirrored is None
    assert len(set(seen.digests.tolist())) == 5
    assert seen.digests[4] == seen.digests[1]
    assert seen.hashes[4] == seen.hashes[1]


def test_files_of_several_sizes_are_read_and_measured(model, tmp_path, rng):
    sizes = [(8, 8), (10, 12), (9, 8)]
    images = [rng.integers(0, 256, (*size, 3)).astype("uint8") for size in sizes]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    files = data.ImageFiles([tmp_path / f"{i}.png" for i in range(3)])
    seen = look(model, files)
    assert seen.sizes.tolist() == [list(size) for size in sizes]
    assert seen.scores == pytest.approx(evaluation.predict(model, images), abs=1e-5)
    assert look(model, images[0][None]).digests[0] == seen.digests[0]


@pytest.mark.slow
def test_probabilities_become_their_logarithms(model):
    backbone = model.backbone
    other = models.ImageClassifier(
        backbone, 4, activation="softmax", preprocessor=model.preprocessor
    )
    images = make_examples(4).images
    seen = look(other, images, mirror=False)
    assert np.exp(seen.scores) == pytest.approx(evaluation.predict(other, images), abs=1e-6)


def test_model_without_a_preprocessor_is_rejected(model):
    bare = models.ImageClassifier(model.backbone, 4)
    with pytest.raises(InputError, match="Expected a classifier with a preprocessor"):
        look(bare, make_examples(4).images)
