import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_unrolled import InputError
from tests.conftest import ROOT
from training import checkpoint

RECIPE = {"epochs": 1}


def state(step=3):
    return {"step": step, "recipe": RECIPE}


def variables(value, shapes=((2, 3), (4,))):
    return [keras.Variable(np.full(shape, value, "float32"), name="kernel") for shape in shapes]


def arrays(folder, step):
    return folder / "checkpoints" / f"{step:08d}" / "variables.npz"


def test_variables_and_state_come_back(tmp_path):
    checkpoint.save(tmp_path / "new", variables(2.5), state())
    found = variables(0.0)
    assert checkpoint.restore(tmp_path / "new", found, RECIPE) == state()
    for variable in found:
        np.testing.assert_array_equal(np.asarray(variable), 2.5)


def test_an_older_checkpoint_lacks_what_did_not_exist_yet(tmp_path):
    checkpoint.save(tmp_path, variables(1.0), state())
    now = {**RECIPE, "mixup": 0.0}
    with pytest.raises(InputError, match="mixup: None there"):
        checkpoint.restore(tmp_path, variables(0.0), now)
    assert checkpoint.restore(tmp_path, variables(0.0), now, {"mixup": 0.0})["step"] == 3
    with pytest.raises(InputError, match=r"mixup: 0\.0 there, 0\.2 here"):
        checkpoint.restore(tmp_path, variables(0.0), {**now, "mixup": 0.2}, {"mixup": 0.0})


def test_a_new_run_has_none(tmp_path):
    assert checkpoint.restore(tmp_path, variables(0.0), {}) is None


def test_the_newest_two_are_kept(tmp_path):
    for step in range(1, 5):
        checkpoint.save(tmp_path, variables(float(step)), state(step))
    assert checkpoint.steps(tmp_path) == [4, 3]
    found = variables(0.0)
    assert checkpoint.restore(tmp_path, found, RECIPE)["step"] == 4
    np.testing.assert_array_equal(np.asarray(found[0]), 4.0)


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flip", "cut", "missing", "manifest", "no manifest"])
def test_a_damaged_newest_one_is_skipped_with_a_warning(tmp_path, how, capsys):
    for step in (1, 2):
        checkpoint.save(tmp_path, variables(float(step)), state(step))
    path = arrays(tmp_path, 2)
    manifest = path.with_name("manifest.json")
    {
        "flip": lambda: damage(path),
        "cut": lambda: path.write_bytes(path.read_bytes()[:-50]),
        "missing": path.unlink,
        "manifest": lambda: manifest.write_text("{"),
        "no manifest": manifest.unlink,
    }[how]()
    found = variables(0.0)
    assert checkpoint.restore(tmp_path, found, RECIPE)["step"] == 1
    np.testing.assert_array_equal(np.asarray(found[0]), 1.0)
    assert "checkpoint 2 is skipped" in capsys.readouterr().err


def test_where_all_are_damaged_the_run_does_not_start_over_by_itself(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, variables(float(step)), state(step))
        damage(arrays(tmp_path, step))
    with pytest.raises(InputError, match="Found 2, all damaged"):
        checkpoint.restore(tmp_path, variables(0.0), RECIPE)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path):
    checkpoint.save(tmp_path, variables(1.0), state(1))
    # A limit on the size of files stands in for a full disk: writing fails alike.
    code = (
        "import resource, sys, keras, numpy as np; from training import checkpoint; "
        "v = [keras.Variable(np.zeros((300, 300), 'float32'))]; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "checkpoint.save(sys.argv[1], v, {'step': 2, 'recipe': {}})"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Is there room on the disk" in done.stderr
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000001"]
    found = variables(0.0)
    assert checkpoint.restore(tmp_path, found, RECIPE)["step"] == 1
    np.testing.assert_array_equal(np.asarray(found[0]), 1.0)


def test_another_recipe_is_refused_with_the_difference(tmp_path):
    checkpoint.save(tmp_path, variables(1.0), state())
    with pytest.raises(InputError, match="epochs: 1 there, 2 here"):
        checkpoint.restore(tmp_path, variables(0.0), {"epochs": 2})


def test_another_network_is_refused_before_anything_is_assigned(tmp_path):
    checkpoint.save(tmp_path, variables(1.0), state())
    found = variables(0.0, shapes=((2, 3), (4,), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, found, RECIPE)
    wrong_shape = variables(0.0, shapes=((2, 3), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, wrong_shape, RECIPE)
    for variable in (*found, *wrong_shape):
        np.testing.assert_array_equal(np.asarray(variable), 0.0)


def test_what_a_killed_run_left_half_written_is_taken_away(tmp_path):
    (tmp_path / "checkpoints" / ".00000007-abc").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".00000007-abc" / "variables.npz").write_bytes(b"half")
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE) is None
    checkpoint.save(tmp_path, variables(1.0), state())
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000003"]
    manifest = json.loads(arrays(tmp_path, 3).with_name("manifest.json").read_text())
    assert manifest["state"] == state()
