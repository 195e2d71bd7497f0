"""Images to calibrate and to check with."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_unrolled import InputError, data
from keras_unrolled.exporting import images
from tests.data.pictures import fill, write_image
from tests.exporting.nets import make_model, read_images


@pytest.fixture(scope="module")
def model():
    return make_model("plain")


def test_broken_picture_is_rejected_without_an_option_that_export_lacks(model, tmp_path):
    fill(tmp_path)
    path = next(tmp_path.rglob("*.png"))
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"1 of \d+ do not.*Fix or remove them\.$"):
        images.read_calibration(tmp_path, model, (32, 32), None)


def test_sample_is_resized_with_its_proportions_kept(model):
    found = images.read_sample(model, (40, 80))
    expected = ImageOps.fit(
        Image.fromarray(data.load_sample().images[5]), (80, 40), Image.Resampling.BILINEAR
    )
    assert found.shape == (64, 40, 80, 3)
    np.testing.assert_array_equal(found[5], np.asarray(expected))
    squeezed = images.read_sample(make_model("plain", crop_to_aspect_ratio=False), (40, 80))
    expected = Image.fromarray(data.load_sample().images[5]).resize((80, 40), 2)
    np.testing.assert_array_equal(squeezed[5], np.asarray(expected))


def test_sample_has_the_channels_of_the_network():
    gray = images.read_sample(make_model("plain", channels=1), None)
    expected = Image.fromarray(data.load_sample().images[7]).convert("L")
    assert gray.shape == (64, 32, 32, 1)
    assert np.abs(gray[7, ..., 0].astype(int) - np.asarray(expected)).max() <= 1
    assert images.read_sample(make_model("plain", channels=16), None).shape == (64, 32, 32, 16)


def test_large_images_are_fewer(model, monkeypatch):
    monkeypatch.setattr(images, "MOST_BYTES", 10 * 32 * 32 * 3)
    assert len(images.read_sample(model, (32, 32))) == 10
    found = images.read_calibration("sample", model, (32, 32), None)
    assert (len(found.images), len(found.held)) == (5, 5)


def test_half_of_the_images_calibrates_and_the_other_half_is_scored(model):
    array, light = read_images(9)
    found = images.read_calibration((array, light), model, (32, 32), None)
    np.testing.assert_array_equal(found.images, array[::2])
    np.testing.assert_array_equal(found.held, array[1::2])
    np.testing.assert_array_equal(found.labels, light[1::2])
    assert images.read_calibration(array, model, (32, 32), None).labels is None


def test_at_most_500_images_are_drawn_evenly_over_the_classes(model, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "CALIBRATING", 8)
    folder = fill(tmp_path / "pictures", ["dark", "light"], 9)
    found = images.read_calibration(folder, model, (32, 32), None)
    assert found.images.shape == found.held.shape == (4, 32, 32, 3)
    assert sorted(found.labels) == [0, 0, 1, 1]
    monkeypatch.undo()
    assert images.CALIBRATING == 500


def test_images_of_other_classes_have_no_labels(model, tmp_path):
    assert images.read_calibration("sample", model, (32, 32), None).labels is None
    named = make_model("plain", labels=["cat", "dog"])
    assert images.read_calibration(fill(tmp_path), named, (32, 32), None).labels is not None


def test_gray_network_is_calibrated_with_gray_pictures(tmp_path):
    picture = np.zeros((32, 32, 3), "uint8")
    picture[..., 1] = 255
    for name in ("a/1", "a/2", "b/1", "b/2"):
        write_image(tmp_path / f"{name}.png", picture)
    model = make_model("plain", channels=1)
    found = images.read_calibration(tmp_path, model, (32, 32), None)
    assert found.images.shape == (2, 32, 32, 1)
    assert set(found.images.ravel()) == {150}  # 0.587 of 255


def test_images_that_cannot_calibrate_are_rejected(model, tmp_path):
    array, _ = read_images(1)
    with pytest.raises(InputError, match=r"one to calibrate with and one to score\. Found 1"):
        images.read_calibration(array, model, (32, 32), None)
    with pytest.raises(InputError, match=r"images of 16 channels .* Pass an array"):
        images.read_calibration("sample", make_model("plain", channels=16), (32, 32), None)
    with pytest.raises(InputError, match="no folder at"):
        images.read_calibration(tmp_path / "nothing", model, (32, 32), None)
    (fill(tmp_path / "some") / "cat" / "1.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="do not"):
        images.read_calibration(tmp_path / "some", model, (32, 32), None)
    with pytest.raises(InputError, match="0 to 255"):
        images.read_calibration(read_images(4)[0] * 2.0, model, (32, 32), None)
