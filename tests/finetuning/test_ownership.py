"""A run does not use what another one has left in its folder."""

import shutil

import keras
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, data, models
from keras_unrolled.finetuning.ownership import claim_folder
from keras_unrolled.finetuning.run import Finetuning
from tests.nets import randomize


def test_images_of_another_run_are_removed_and_its_checkpoints_rejected(tmp_path):
    run, images = tmp_path / "head", tmp_path / "images.npy"
    claim_folder(tmp_path, [run], {"data": "a", "pair": (1, 2)})
    images.write_bytes(b"x")
    claim_folder(tmp_path, [run], {"data": "a", "pair": (1, 2)})
    assert images.is_file()
    run.mkdir()
    claim_folder(tmp_path, [run], {"data": "a", "pair": (1, 2)})
    with pytest.raises(InputError, match=rf"settings of the run .* in {tmp_path}\. .*data was 'a'"):
        claim_folder(tmp_path, [run], {"data": "b", "pair": (1, 2)})
    assert images.is_file()
    run.rmdir()  # to start over
    claim_folder(tmp_path, [run], {"data": "b", "pair": (1, 2)})
    assert not images.exists()


@pytest.mark.slow
def test_run_on_other_data_does_not_train_on_the_images_of_the_one_before(tmp_path, monkeypatch):
    model = models.resnet(8, dataset="cifar")
    randomize(model)
    ku.save_preset(model, tmp_path / "base")
    sample = data.load_sample()

    def choose(first):
        chosen = np.flatnonzero(sample.labels // 2 == first)[:40]
        return sample.images[chosen], sample.labels[chosen] % 2

    def train(images, name):
        ku.finetune(tmp_path / "base", images, tmp_path / name, epochs=1, augmentation="none")
        return [keras.ops.convert_to_numpy(w) for w in ku.from_preset(tmp_path / name).weights]

    expected = train(choose(1), "alone")
    with monkeypatch.context() as patch:
        patch.setattr(Finetuning, "_evaluate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(choose(0), "after")
    with pytest.raises(InputError, match=rf"delete {tmp_path / 'after.partial'}\.$"):
        train(choose(1), "after")
    shutil.rmtree(tmp_path / "after.partial" / "head")  # a part of what may be deleted
    for a, b in zip(train(choose(1), "after"), expected):
        np.testing.assert_array_equal(a, b)
