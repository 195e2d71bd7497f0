"""What is given to a classifier and makes no sense is refused or warned of."""

from pathlib import Path

import numpy as np
import pytest

from keras_unrolled import InputError
from keras_unrolled.models.inputs import check_images, check_labels

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.where(IMAGES > 250, np.nan, IMAGES), "NaN or infinity"),
        (np.full((2, 8, 8, 3), np.inf), "NaN or infinity"),
        ([IMAGES[0] * 1.0, IMAGES[1] * np.nan], "NaN or infinity"),
        (IMAGES.astype(object), "Expected images as numbers. Received: object"),
        (IMAGES.astype(complex), "Received: complex128"),
        (None, "Received: None"),
        ("cat.png", "Received: 'cat.png'"),
        (Path("cat.png"), "read_image"),
    ],
    ids=["NaN", "infinity", "list", "objects", "complex", "None", "string", "path"],
)
def test_what_is_no_image_is_rejected(images, message):
    with pytest.raises(InputError, match=message):
        check_images(images)


def test_floats_around_zero_are_warned_of():
    with pytest.warns(UserWarning, match="from -128 to 127. Add what was taken from them"):
        check_images(IMAGES - 128.0)


@pytest.mark.parametrize(
    ("images", "values"),
    [
        ((IMAGES - 128).astype("int8"), r"-128 to 127 \(int8\)"),
        (IMAGES * 4, "0 to 1,020"),
        (IMAGES + 1, "1 to 256"),
        ([IMAGES[0] * 1.0, (IMAGES[1] * 2).astype("uint16")], r"to \d+ \(uint16\)"),
    ],
    ids=["int8", "10 bits", "256", "list"],
)
def test_whole_numbers_of_another_scale_are_rejected(images, values):
    with pytest.raises(
        InputError, match=f"Received values from .*{values}.* Scale them to 0 to 255"
    ):
        check_images(images)


def test_images_of_another_form_are_rejected_with_shape_and_type():
    with pytest.raises(
        InputError, match=r"as numbers. Received: bool.* of a mask pass 255 \* mask"
    ):
        check_images(IMAGES > 99)
    with pytest.raises(InputError, match=r"the shape \(2, 8, 8\) \(int64\)"):
        check_images(IMAGES[..., 0])


def test_images_on_the_scale_pass_in_silence():
    for dtype in ("uint8", "int32", "float32", "float16"):
        check_images(IMAGES.astype(dtype))
    check_images(IMAGES - 3.0)  # as resizing may leave them


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "'', which is empty"),
        (" \u200b", "which is empty"),
        ("a\udcff", "which is not UTF-8"),
        ("a\x07b", r"with the control character '\\x07' \(U\+0007\) in it"),
        (None, "None, which is no name"),
        (1.5, "1.5, which is no name"),
    ],
    ids=ascii,
)
def test_what_is_no_name_of_a_class_is_rejected(name, problem):
    with pytest.raises(
        InputError, match=rf"Expected a name for each class\. Received: .*{problem}"
    ):
        check_labels(["cat", name])
