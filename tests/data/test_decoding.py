"""Image files become the pixels that a viewer shows, or are rejected with a reason."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_unrolled import InputError, data
from keras_unrolled.data import decoding
from tests.data.pictures import write_image


@pytest.fixture
def gray(rng):
    return rng.integers(20, 236, (9, 7)).astype("uint8")


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_every_color_mode_becomes_rgb(mode, tmp_path):
    write_image(tmp_path / "x.tiff", mode=mode)
    image = data.read_image(tmp_path / "x.tiff")
    assert image.shape == (10, 12, 3)
    assert abs(int(image.mean()) - 200) < 3


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="Found none at"):
        data.read_image(tmp_path / "no.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_grayscale_is_scaled_to_eight_bits(tmp_path, gray, suffix):
    Image.fromarray(gray.astype("uint16") * 257).save(tmp_path / f"deep{suffix}")
    image = data.read_image(tmp_path / f"deep{suffix}")
    np.testing.assert_array_equal(image, np.repeat(gray[..., None], 3, -1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda gray: gray.astype("uint16") << 4, "mode I;16 with values up to"),
        (lambda gray: gray.astype("uint16"), "mode I;16 with values up to"),
        (lambda gray: gray.astype("int32"), "mode I, whose range is unknown"),
        (lambda gray: (gray / 255).astype("float32"), "mode F, whose range is unknown"),
    ],
)
def test_pixels_of_unknown_range_are_rejected(tmp_path, gray, values, message):
    Image.fromarray(values(gray)).save(tmp_path / "deep.tif")
    with pytest.raises(InputError, match=message):
        data.read_image(tmp_path / "deep.tif")
    assert message in decoding.check_image(tmp_path / "deep.tif")


def write_png(path, values, color):
    """A PNG of 16 bits a value, which Pillow does not write: color 2 is RGB, 4 gray with alpha."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))
    return path


def write_tiff(path, values, photometric=1, sample_format=1):
    """An uncompressed TIFF of one channel, whatever its pixels mean."""
    (height, width), pixels = values.shape, values.tobytes()
    tags = {
        256: width,
        257: height,
        258: 8 * values.itemsize,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: height,
        279: len(pixels),
        339: sample_format,
    }
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels
    path.write_bytes(content + struct.pack("<H", len(tags)) + rows + bytes(4))
    return path


@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_deep_color_is_scaled_or_rejected_as_gray_is(tmp_path, gray, color, channels):
    deep = np.repeat(gray[..., None].astype("uint16") * 257, channels, -1)
    if channels != 3:
        deep[..., -1] = 65_535
    image = data.read_image(write_png(tmp_path / "deep.png", deep, color))
    np.testing.assert_array_equal(image, np.repeat(gray[..., None], 3, -1))
    deep[..., : 3 if channels > 2 else 1] //= 16  # 12 bits
    path = write_png(tmp_path / "dark.png", deep, color)
    with pytest.raises(InputError, match=r"of 16 bits with values up to .* perhaps of fewer bits"):
        data.read_image(path)
    assert "perhaps of fewer bits" in decoding.check_image(path)


def test_deep_tiff_whose_white_is_zero_is_turned_round(tmp_path, gray):
    path = write_tiff(tmp_path / "x.tif", 65_535 - gray.astype("<u2") * 257, photometric=0)
    np.testing.assert_array_equal(data.read_image(path)[..., 0], gray)


def test_pixels_with_a_sign_are_rejected(tmp_path, gray):
    path = write_tiff(tmp_path / "x.tif", (gray.astype(int) - 128).astype("i1"), sample_format=2)
    with pytest.raises(InputError, match="pixels with a sign"):
        data.read_image(path)
    assert "pixels with a sign" in decoding.check_image(path)


def test_black_deep_image_is_black(tmp_path):
    Image.fromarray(np.zeros((3, 4), "uint16")).save(tmp_path / "black.png")
    assert not data.read_image(tmp_path / "black.png").any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(tmp_path, rng, orientation):
    from PIL import ImageOps

    image = Image.fromarray(rng.integers(0, 256, (8, 16, 3)).astype("uint8"))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "x.png"))
    np.testing.assert_array_equal(data.read_image(tmp_path / "x.png"), np.asarray(expected))


def test_damaged_exif_number_does_not_matter(tmp_path, rng):
    image = Image.fromarray(rng.integers(0, 256, (8, 16, 3)).astype("uint8"))
    orientation = struct.pack("<HHI4s", 0x0112, 3, 1, struct.pack("<HH", 6, 0))
    resolution = struct.pack("<HHII", 0x011A, 12, 1, 38)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + orientation + resolution
    for name, value in (("good", 72.0), ("bad", float("nan"))):
        image.save(tmp_path / f"{name}.jpg", exif=block + struct.pack("<Id", 0, value))
    bad = data.read_image(tmp_path / "bad.jpg")
    assert bad.shape == (16, 8, 3)
    np.testing.assert_array_equal(bad, data.read_image(tmp_path / "good.jpg"))


def test_suffix_does_not_choose_the_decoder(tmp_path):
    (tmp_path / "x.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    )
    with pytest.raises(InputError, match="none of BMP"):
        data.read_image(tmp_path / "x.png")
    write_image(tmp_path / "really.webp").rename(tmp_path / "really.jpg")
    assert data.read_image(tmp_path / "really.jpg").shape == (10, 12, 3)


def test_huge_image_is_rejected_before_it_is_decoded(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="10,000 x 10,000 pixels"):
        data.read_image(tmp_path / "huge.png")


def test_damaged_file_is_named(tmp_path):
    whole = write_image(tmp_path / "0.png").read_bytes()
    path = tmp_path / "broken.png"
    for damaged in (b"\x89PNG\r\n\x1a\nrubbish", whole[: len(whole) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"broken\.png does not"):
            data.read_image(path)
        assert "broken.png does not decode" in decoding.check_image(path)


@pytest.mark.slow
def test_damaged_files_of_every_format_decode_or_are_rejected(tmp_path, rng):
    pixels = Image.fromarray(rng.integers(0, 256, (40, 50, 3)).astype("uint8"))
    wholes = {}
    for name in decoding.FORMATS:
        buffer = io.BytesIO()
        pixels.save(buffer, "PPM" if name == "PPM" else name)
        wholes[name] = buffer.getvalue()
    for i in range(3_000):
        name, whole = list(wholes.items())[i % len(wholes)]
        content = bytearray(whole)
        for _ in range(rng.integers(1, 9)):
            content[rng.integers(len(content))] = rng.integers(256)
        if i % 3 == 0:
            del content[rng.integers(len(content)) :]
        path = tmp_path / f"x.{name.lower()}"
        path.write_bytes(content)
        image = None
        with contextlib.suppress(InputError):
            image = data.read_image(path)
        assert image is None or (image.ndim == 3 and image.dtype == np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_large_image_is_in_memory_once(tmp_path, mode):
    import tracemalloc

    pixels = np.full((2_000, 3_000), 30_000, "uint16") if mode == "I;16" else None
    image = Image.new(mode, (3_000, 2_000)) if pixels is None else Image.fromarray(pixels)
    image.save(tmp_path / "large.png")
    tracemalloc.start()
    try:
        size = data.read_image(tmp_path / "large.png").nbytes
        assert tracemalloc.get_traced_memory()[1] < 2 * size
    finally:
        tracemalloc.stop()
