import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_unrolled import InputError, files
from keras_unrolled.engine import ImageRecipe, checkpoint
from tests.conftest import ROOT

RECIPE = ImageRecipe(network={"builder": "resnet"}, epochs=5)


def state(step=3):
    return {"step": step, "hours": 1.5}


def variables(value, shapes=((2, 3), (4,))):
    return [keras.Variable(np.full(shape, value, "float32"), name="kernel") for shape in shapes]


def save(folder, value, step=3, **options):
    checkpoint.save(folder, variables(value), state(step), RECIPE, **options)


def arrays(folder, step):
    return folder / "checkpoints" / f"{step:08d}" / "variables.npz"


def test_variables_and_state_are_restored(tmp_path):
    save(tmp_path / "new", 2.5)
    restored = variables(0.0)
    assert checkpoint.restore(tmp_path / "new", restored, RECIPE) == state()
    for variable in restored:
        np.testing.assert_array_equal(np.asarray(variable), 2.5)


def test_checkpoint_of_the_version_before_is_restored(tmp_path):
    save(tmp_path, 1.0)
    manifest = arrays(tmp_path, 3).with_name("manifest.json")
    data = json.loads(manifest.read_text())
    old = {**data.pop("recipe"), "augment": True, "text": "a command", "sampled": 0, "length": 35}
    old.pop("augmentation")
    data.pop("identity")
    data.pop("sha256")
    data["state"]["recipe"] = old
    manifest.write_text(json.dumps(data))
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE)["step"] == 3
    old["augment"] = False
    manifest.write_text(json.dumps(data))
    with pytest.raises(InputError, match="augmentation was 'none' and is now 'shift_flip'"):
        checkpoint.restore(tmp_path, variables(0.0), RECIPE)


def test_new_run_has_no_checkpoint(tmp_path):
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE) is None


def test_newest_two_checkpoints_are_kept(tmp_path):
    for step in range(1, 5):
        save(tmp_path, float(step), step)
    assert checkpoint.list_steps(tmp_path) == [4, 3]
    restored = variables(0.0)
    assert checkpoint.restore(tmp_path, restored, RECIPE)["step"] == 4
    np.testing.assert_array_equal(np.asarray(restored[0]), 4.0)


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(manifest, **changes):
    """Changes a manifest's entries, or those of its state."""
    data = json.loads(manifest.read_text())
    for key, value in changes.items():
        (data if key in data else data["state"])[key] = value
    manifest.write_text(json.dumps(data))


def as_early(manifest):
    """Moves the recipe to where earlier versions had it, which had no hash of the manifest."""
    data = json.loads(manifest.read_text())
    data["state"] |= {"recipe": data.pop("recipe"), "hours": 0.0}
    manifest.write_text(json.dumps(data))


def replace_arrays(manifest, path):
    """Other content in place of the arrays, with its hash in the manifest."""
    path.write_bytes(b"no archive")
    data = json.loads(manifest.read_text())
    data["files"][path.name] = files.fingerprint(path)
    data["sha256"] = checkpoint._hash(data)
    manifest.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "how",
    [
        "flip",
        "cut",
        "missing",
        "manifest",
        "no manifest",
        "step",
        "hours",
        "recipe",
        "types",
        "list",
        "early form",
        "no archive",
    ],
)
def test_damaged_newest_checkpoint_is_skipped_with_a_warning(tmp_path, how, capsys):
    for step in (1, 2):
        save(tmp_path, float(step), step)
    path = arrays(tmp_path, 2)
    manifest = path.with_name("manifest.json")
    {
        "flip": lambda: damage(path),
        "cut": lambda: path.write_bytes(path.read_bytes()[:-50]),
        "missing": path.unlink,
        "manifest": lambda: manifest.write_text("{"),
        "no manifest": manifest.unlink,
        "step": lambda: edit(manifest, step=1),
        "hours": lambda: edit(manifest, hours=0.0),
        "recipe": lambda: edit(manifest, recipe={**RECIPE.to_dict(), "epochs": 6}),
        "types": lambda: edit(manifest, state=[], files=3, identity=None),
        "list": lambda: manifest.write_text("[]"),
        "early form": lambda: as_early(manifest),
        "no archive": lambda: replace_arrays(manifest, path),
    }[how]()
    restored = variables(0.0)
    assert checkpoint.restore(tmp_path, restored, RECIPE)["step"] == 1
    np.testing.assert_array_equal(np.asarray(restored[0]), 1.0)
    assert "Checkpoint 2 is skipped" in capsys.readouterr().err


def test_folder_with_another_name_is_no_checkpoint(tmp_path):
    save(tmp_path, 1.0)
    for name in ("\u00b2", "7", "00000009x", "\u0663" * 8):
        (tmp_path / "checkpoints" / name).mkdir()
    assert checkpoint.list_steps(tmp_path) == [3]
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE)["step"] == 3


def test_run_with_only_damaged_checkpoints_does_not_silently_start_over(tmp_path):
    for step in (1, 2):
        save(tmp_path, float(step), step)
        damage(arrays(tmp_path, step))
    with pytest.raises(InputError, match="Found 2, all damaged"):
        checkpoint.restore(tmp_path, variables(0.0), RECIPE)


@pytest.mark.slow
def test_full_disk_leaves_the_last_checkpoint_intact(tmp_path):
    save(tmp_path, 1.0, 1)
    # A limit on the size of files stands in for a full disk: writing fails in the same way.
    code = (
        "import resource, sys, keras, numpy as np\n"
        "from keras_unrolled.engine import ImageRecipe, checkpoint\n"
        "v = [keras.Variable(np.zeros((300, 300), 'float32'))]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "checkpoint.save(sys.argv[1], v, {'step': 2}, ImageRecipe(network={}))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "room on the disk" in done.stderr
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000001"]
    restored = variables(0.0)
    assert checkpoint.restore(tmp_path, restored, RECIPE)["step"] == 1
    np.testing.assert_array_equal(np.asarray(restored[0]), 1.0)


def test_other_recipe_is_rejected_with_the_difference(tmp_path):
    save(tmp_path, 1.0)
    with pytest.raises(InputError, match="epochs was 5 and is now 6"):
        checkpoint.restore(tmp_path, variables(0.0), RECIPE.override(["epochs=6"]))


def test_other_data_are_rejected_with_what_may_have_changed(tmp_path):
    old, new = 64 * "a", 64 * "b"
    save(tmp_path, 1.0, identity={"data": old})
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE, {"data": old})
    with pytest.raises(InputError, match="data is not the same: other names or content of their"):
        checkpoint.restore(tmp_path, variables(0.0), RECIPE, {"data": new})


def test_other_network_is_rejected_before_anything_is_assigned(tmp_path):
    save(tmp_path, 1.0)
    more = variables(0.0, shapes=((2, 3), (4,), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, more, RECIPE)
    wrong_shape = variables(0.0, shapes=((2, 3), (5,)))
    with pytest.raises(InputError, match="of another network"):
        checkpoint.restore(tmp_path, wrong_shape, RECIPE)
    for variable in (*more, *wrong_shape):
        np.testing.assert_array_equal(np.asarray(variable), 0.0)


def test_half_written_folders_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / "checkpoints" / ".00000007-abc").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".00000007-abc" / "variables.npz").write_bytes(b"half")
    assert checkpoint.restore(tmp_path, variables(0.0), RECIPE) is None
    save(tmp_path, 1.0)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000003"]
    path = arrays(tmp_path, 3)
    manifest = json.loads(path.with_name("manifest.json").read_text())
    assert manifest["state"] == state()
    assert manifest["files"]["variables.npz"] == files.fingerprint(path)
