import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from training import checkpoint

STATE = {"step": 3, "recipe": {"epochs": 1}}


def variables(value, shapes=((2, 3), (4,))):
    return [keras.Variable(np.full(shape, value, "float32"), name="kernel") for shape in shapes]


def test_variables_and_state_come_back(tmp_path):
    checkpoint.save(tmp_path / "new", variables(2.5), STATE)
    found = variables(0.0)
    assert checkpoint.restore(tmp_path / "new", found, STATE["recipe"]) == STATE
    for variable in found:
        np.testing.assert_array_equal(np.asarray(variable), 2.5)


def test_a_new_run_has_none(tmp_path):
    assert checkpoint.restore(tmp_path, variables(0.0), {}) is None


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, variables(1.0), STATE)

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, variables(2.0), STATE)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]
    found = variables(0.0)
    checkpoint.restore(tmp_path, found, STATE["recipe"])
    np.testing.assert_array_equal(np.asarray(found[0]), 1.0)


def test_another_network_is_refused_before_anything_is_assigned(tmp_path):
    checkpoint.save(tmp_path, variables(1.0), STATE)
    found = variables(0.0, shapes=((2, 3), (4,), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, found, STATE["recipe"])
    wrong_shape = variables(0.0, shapes=((2, 3), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, wrong_shape, STATE["recipe"])
    for variable in (*found, *wrong_shape):
        np.testing.assert_array_equal(np.asarray(variable), 0.0)
