"""Faults planted into a folder of real pictures, and how many of them a report shows first."""

import io

import numpy as np
import pytest
from PIL import Image

import keras_unrolled as ku
from keras_unrolled import data
from tests.reporting.pages import read_rows

PICTURES, WRONG, SHOWN = 500, 10, 20


def compress(picture):
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=60)
    return Image.open(content)


def brighten(picture):
    return picture.point(lambda value: min(255, round(1.15 * value + 6)))


def move(picture):
    """By one pixel to the right and down."""
    pixels = np.pad(np.asarray(picture), ((1, 0), (1, 0), (0, 0)), mode="edge")
    return Image.fromarray(pixels[:-1, :-1])


def enlarge(picture):
    return picture.resize((48, 48))


def roughen(picture):
    noise = np.random.default_rng(1).normal(0, 6, (32, 32, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype("uint8"))


NEAR = (compress, brighten, move, enlarge, roughen)


def plant(folder):
    """Writes 500 pictures with wrong labels and five near-duplicates as class folders.

    Returns:
        The files with wrong labels, and the pairs of files that are near-duplicates.
    """
    sample, rng = data.load_sample(), np.random.default_rng(0)
    chosen = rng.permutation(len(sample))[:PICTURES]
    labels = sample.labels[chosen]
    wrong = rng.choice(PICTURES, WRONG, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, WRONG)) % 10
    names = [f"{sample.names[label]}/{i:03d}.png" for i, label in enumerate(labels)]
    for name, image in zip(names, sample.images[chosen]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    pairs = set()
    for i, change in zip(rng.choice(PICTURES, len(NEAR), replace=False), NEAR):
        copy = names[i].replace(".png", f"_{change.__name__}.png")
        with Image.open(folder / names[i]) as picture:
            change(picture).save(folder / copy)
        pairs.add(frozenset((names[i], copy)))
    return {names[i] for i in wrong}, pairs


@pytest.mark.slow
def test_planted_faults_are_among_the_first_that_are_shown(tmp_path):
    # Measured with six seeds and three presets: 9 or 10 wrong labels, all five pairs.
    wrong, pairs = plant(tmp_path / "pictures")
    ku.evaluate("highway_bn_cifar10", tmp_path / "pictures", report=tmp_path / "out")
    suspects = {row["image"] for row in read_rows(tmp_path / "out" / "suspects.csv")[:SHOWN]}
    assert len(wrong & suspects) >= 8
    rows = read_rows(tmp_path / "out" / "duplicates.csv")[:SHOWN]
    found = {frozenset((row["first"], row["second"])) for row in rows}
    assert len(pairs & found) >= 4
    assert len(found) <= 10  # pictures that merely look alike would hide them
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in wrong & suspects)
