"""Data of the training programs."""

import shutil

import pytest


@pytest.fixture
def data_dir(photographs, tmp_path):
    """Sixty photographs as class folders: train, and a few of them as val."""
    for i, path in enumerate(photographs[:60]):
        place = tmp_path / "data" / "train" / path.parent.name
        place.mkdir(parents=True)
        shutil.copy(path, place)
        if i % 6 == 0:
            shutil.copytree(place, tmp_path / "data" / "val" / path.parent.name)
    return tmp_path / "data"
