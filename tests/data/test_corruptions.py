"""CIFAR-10-C, regenerated: the corruptions next to SciPy, colorsys and Pillow, and what is known of them."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, data
from keras_unrolled.data import corruptions
from keras_unrolled.data.corruptions import blurs, corrupt, digital, filters, weather

ndimage = pytest.importorskip("scipy.ndimage")


@pytest.fixture(scope="module")
def images():
    return data.load_sample().images[:40]


@pytest.fixture
def smooth(rng):
    """Values from 0 to 1, of sizes that differ."""
    return rng.random((3, 12, 10, 3))


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_result_follows_from_picture_place_severity_and_seed(images, kind):
    found = corrupt(images[:4], kind, 3, seed=5)
    assert (found.shape, found.dtype) == ((4, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(corrupt(images[:2], kind, 3, seed=5), found[:2])
    assert not np.array_equal(corrupt(images[:4], kind, 4, seed=5), found)
    is_random = kind.endswith("noise") or kind in (
        *("glass_blur", "motion_blur", "snow", "fog", "elastic_transform"),
    )
    assert np.array_equal(corrupt(images[:4], kind, 3, seed=6), found) == (not is_random)


# Elastic shifts whole pictures less at higher severities, and glass blurs by less at the fourth.
@pytest.mark.parametrize("kind", sorted({*corruptions.KINDS} - {"elastic_transform", "glass_blur"}))
def test_damage_grows_with_the_severity(images, kind):
    images = images[:10] if kind == "zoom_blur" else images  # the slowest, and without chance
    damage = [np.abs(corrupt(images, kind, s) - images.astype(float)).mean() for s in range(1, 6)]
    assert damage == sorted(damage)
    assert damage[0] > 0.3


@pytest.mark.parametrize(
    ("sigma", "border", "mode"), [(0.7, "edge", "nearest"), (2.1, "symmetric", "reflect")]
)
@pytest.mark.parametrize("truncate", [3, 4])
def test_gaussian_is_that_of_scipy(smooth, sigma, border, mode, truncate):
    expected = ndimage.gaussian_filter(smooth, (0, sigma, sigma, 0), mode=mode, truncate=truncate)
    found = filters.gaussian(smooth, sigma, truncate=truncate, border=border)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_correlation_is_that_of_scipy(smooth, rng):
    kernel = rng.random((3, 5))
    expected = ndimage.correlate(smooth, kernel[None, :, :, None], mode="mirror")
    np.testing.assert_allclose(filters.correlate(smooth, kernel, "reflect"), expected, atol=1e-12)


@pytest.mark.parametrize(("border", "mode"), [("reflect", "mirror"), ("symmetric", "reflect")])
def test_pictures_are_read_between_pixels_as_by_scipy(smooth, rng, border, mode):
    rows, columns = rng.uniform(-9, 20, (2, 3, 7, 8))
    found = filters.sample(smooth, rows, columns, border)
    for i in range(3):
        for c in range(3):
            places = [rows[i], columns[i]]
            expected = ndimage.map_coordinates(smooth[i, ..., c], places, order=1, mode=mode)
            np.testing.assert_allclose(found[i, ..., c], expected, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 1.05, 1.13, 1.75, 2.25])
def test_zoom_is_that_of_scipy(rng, factor):
    x = rng.random((2, 32, 32, 1))
    crop = int(np.ceil(32 / factor))
    top = (32 - crop) // 2
    middle = x[:, top : top + crop, top : top + crop]
    expected = ndimage.zoom(middle, (1, factor, factor, 1), order=1)
    trim = (expected.shape[1] - 32) // 2
    expected = expected[:, trim : trim + 32, trim : trim + 32]
    np.testing.assert_allclose(filters.zoom(x, factor), expected, atol=1e-9)


def test_motion_blur_spreads_a_point_along_its_angle():
    point = np.zeros((3, 33, 33, 1))
    point[:, 16, 16] = 1
    angles = np.array([0.0, 90.0, 45.0])
    level, upright, slanted = filters.motion_blur(point, 6, 2, angles)[..., 0]
    weights = np.exp(-(np.arange(13) ** 2) / 8)
    expected = np.rint(255 * weights / weights.sum()) / 255
    np.testing.assert_allclose(level[16, 16::-1][:13], expected)  # each pixel reads to its right
    np.testing.assert_allclose(upright[16::-1, 16][:13], expected)
    assert set(np.argwhere(slanted).sum(-1) - 2 * np.argwhere(slanted)[:, 0]) == {0}
    assert level.sum() == pytest.approx(1, abs=0.02)


def test_disk_is_that_of_its_radius():
    assert np.count_nonzero(blurs.make_disk(1.5, 0.1) > 0.1) == 9
    np.testing.assert_allclose(
        blurs.make_disk(1, 1e-9)[7:10, 7:10], np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5
    )
    assert blurs.make_disk(0.3, 0.4).sum() == pytest.approx(1)


def test_noise_has_its_scale(images):
    gray = np.full((20, 32, 32, 3), 128, "uint8")
    noise = corrupt(gray, "gaussian_noise", 5) / 255 - 128 / 255
    assert noise.std() == pytest.approx(0.10, rel=0.02)
    shot = corrupt(gray, "shot_noise", 5) / 255
    assert shot.std() == pytest.approx(np.sqrt(128 / 255 / 50), rel=0.02)
    impulse = corrupt(gray, "impulse_noise", 5)
    assert (impulse == 0).mean() == pytest.approx(0.035, rel=0.1)
    assert (impulse == 255).mean() == pytest.approx(0.035, rel=0.1)
    assert set(np.unique(impulse)) == {0, 128, 255}


def test_brightness_raises_the_value_of_hsv_only(images):
    found = corrupt(images[:2], "brightness", 4)[:, ::4, ::4].reshape(-1, 3)
    for before, after in zip(images[:2, ::4, ::4].reshape(-1, 3) / 255, found):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.2))
        assert np.abs(after - 255 * np.array(expected)).max() <= 1


def test_contrast_keeps_the_mean_of_each_channel(images):
    found = corrupt(images, "contrast", 2).astype(float)
    assert np.abs(found.mean((1, 2)) + 0.5 - images.mean((1, 2))).max() < 0.6
    assert found.std((1, 2)) == pytest.approx(images.std((1, 2)) / 2, rel=0.05)


def test_jpeg_and_pixelate_are_those_of_pillow(images):
    picture, file = Image.fromarray(images[0]), io.BytesIO()
    picture.save(file, "JPEG", quality=58)
    np.testing.assert_array_equal(corrupt(images[:1], "jpeg_compression", 3)[0], Image.open(file))
    small = picture.resize((27, 27), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
    np.testing.assert_array_equal(corrupt(images[:1], "pixelate", 3)[0], small)


def test_glass_takes_values_of_neighbors_only():
    x = np.arange(32 * 32 * 3).reshape(1, 32, 32, 3) % 251 / 255
    found = blurs.glass_blur(x, 1, [np.random.default_rng(0)])[0] * 255
    before = (x[0] * 255).astype("uint8")
    for row, column in np.ndindex(32, 32):
        near = before[max(0, row - 1) : row + 1, max(0, column - 1) : column + 1].reshape(-1, 3)
        assert np.abs(near - found[row, column]).sum(-1).min() < 1e-9
    assert not np.array_equal(found, before)


def test_fog_is_a_fractal_from_0_to_1(rng):
    plasma = weather.make_plasma(32, 2, rng)
    assert (plasma.shape, plasma.min(), plasma.max()) == ((32, 32), 0, 1)
    steps = [np.abs(plasma - np.roll(plasma, d, 0)).mean() for d in (1, 4, 16)]
    assert steps == sorted(steps)  # near places are alike
    black = corrupt(np.zeros((1, 32, 32, 3), "uint8"), "fog", 3)
    assert black.max() == 0  # the brightest value is kept


def test_points_are_moved_by_the_affine_map(rng):
    x = ndimage.gaussian_filter(rng.random((1, 32, 32, 1)), (0, 2, 2, 0))
    shift = np.full((1, 3, 2), [2.0, 3.0])  # columns, rows
    found = digital.move_points(x, shift)
    np.testing.assert_allclose(found[0, 3:, 2:], x[0, :-3, :-2], atol=1e-9)
    stretched = digital.move_points(x, np.array([[[5.0, 0], [5, 0], [-5, 0]]]))
    for column, source in ((31, 26), (1, 6), (16, 16)):  # 26 goes to 31, and 6 to 1
        np.testing.assert_allclose(stretched[0, :, column], x[0, :, source], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "frost"}, "Expected `kind` to be one of"),
        ({"severity": 6}, "`severity` to be a whole number from 1 to 5"),
        ({"seed": -1}, "`seed`"),
        ({"images": np.zeros((1, 32, 32, 3))}, "Received: float64"),
        ({"images": np.zeros((1, 28, 28, 3), "uint8")}, r"Received: uint8 \(1, 28, 28, 3\)"),
        ({"images": [1]}, "Received: list"),
    ],
)
def test_other_arguments_are_refused(images, change, message):
    arguments = {"images": images, "kind": "fog", "severity": 1, **change}
    with pytest.raises(InputError, match=message):
        corrupt(**arguments)
