"""Data of the training programs."""

import dataclasses
import shutil

import pytest

from keras_unrolled import data


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


@pytest.fixture
def few_images(monkeypatch):
    """The programs see a thousand images of each part of CIFAR-10."""
    load = data.load_cifar10

    def load_few(place, split):
        return dataclasses.replace(load(place, f"{split}[:1000]"), split=split)

    monkeypatch.setattr(data, "load_cifar10", load_few)
