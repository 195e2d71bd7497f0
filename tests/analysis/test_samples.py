import numpy as np
import pytest

from keras_unrolled import analysis, data, models
from keras_unrolled.analysis.samples import Samples
from tests.data.pictures import write_image
from tests.nets import randomize


@pytest.fixture(scope="module")
def stack():
    model = models.resnet(8, dataset="cifar")
    randomize(model)
    return analysis.as_stack(model)


def test_files_of_any_size_give_what_their_arrays_give(stack, tmp_path, rng):
    arrays = [rng.integers(0, 256, (20 + i, 30, 3)).astype("uint8") for i in range(5)]
    paths = [write_image(tmp_path / f"{i}.png", array) for i, array in enumerate(arrays)]
    expected, _ = Samples(stack, arrays).take([3, 0, 1])
    found, labels = Samples(stack, data.ImageFiles(paths), [0, 1, 2, 3, 4]).take([3, 0, 1])
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert labels.tolist() == [3, 0, 1]


@pytest.mark.slow
def test_images_of_tfds_give_what_their_arrays_give(stack, tfds_dir):
    examples = data.load("cifar10", tfds_dir, ["test"]).part("test", 0, 40)
    arrays = np.stack(examples.images[:40])
    chosen = [*range(5, 25), 3, 39]
    found, _ = Samples(stack, examples).take(chosen)
    expected, _ = Samples(stack, arrays).take(chosen)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-6)
