"""Files by somebody who wants more than to be loaded: bombs, links, pipes."""

import io
import json
import os
import resource
import zipfile

import h5py
import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError
from keras_unrolled.models import weight_files
from keras_unrolled.presets import golden, layout, verification
from tests.presets.hostile import agree, copy, edit, refused


@pytest.fixture
def images(saved_presets, tmp_path):
    return copy(saved_presets / "images", tmp_path / "small", forget=True)


# === Files of weights ===
def rewrite(path, name, make):
    """Replaces an array of a file by what `make` puts into its group."""
    with h5py.File(path, "r+") as file:
        group, _, last = name.rpartition("/")
        del file[name]
        make(file[group], last)


def test_array_that_is_declared_but_not_there_is_not_allocated(images):
    def make(group, name):
        group.create_dataset(name, shape=(64, 400_000), dtype="float32", chunks=(64, 100))

    rewrite(images / layout.HEAD_WEIGHTS, "layers/dense/vars/0", make)
    rewrite(
        images / layout.HEAD_WEIGHTS,
        "layers/dense/vars/1",
        lambda group, name: group.create_dataset(name, shape=(400_000,), dtype="float32"),
    )
    edit(images, lambda task: task["config"].update(num_classes=400_000, labels=None))
    assert os.path.getsize(images / layout.HEAD_WEIGHTS) < 40_000
    refused(images, "not an array of numbers that are all in the file")
    with pytest.raises(InputError, match="all in the file"):
        ku.from_preset(images, load_weights=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda g, n: g.create_dataset(n, data=np.zeros((64, 3), "float32"), compression="gzip"),
        lambda g, n: g.create_dataset(n, data=np.zeros((64, 3), "complex64")),
        lambda g, n: g.create_dataset(n, data=["x"] * 3, dtype=h5py.string_dtype()),
        lambda g, n: g.create_dataset(
            n, shape=(64, 3), dtype="f4", external=[("/etc/passwd", 0, 768)]
        ),
        lambda g, n: g.create_virtual_dataset(n, h5py.VirtualLayout((64, 3), "f4")),
        lambda g, n: g.create_dataset(n, data=h5py.Empty("f4")),
        lambda g, n: g.__setitem__(n, h5py.ExternalLink("other.h5", "/x")),
        lambda g, n: g.__setitem__(n, h5py.SoftLink("/layers/dense/vars/1")),
    ],
    ids=["gzip", "complex", "strings", "external", "virtual", "empty", "external link", "link"],
)
def test_array_that_is_elsewhere_or_no_numbers_is_refused(images, make):
    rewrite(images / layout.HEAD_WEIGHTS, "layers/dense/vars/0", make)
    refused(images, "not an array of numbers|is a link to elsewhere")


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        arrays = [file.create_dataset(f"array{i}", (50_000,), "float32") for i in range(8)]
        for i, array in enumerate(arrays):
            array[...] = np.full(50_000, i)
        places = [array.id.get_offset() for array in arrays]
    data = path.read_bytes()
    for place in places[1:]:
        data = data.replace(place.to_bytes(8, "little"), places[0].to_bytes(8, "little"))
    end = places[0] + 200_000
    path.write_bytes(data[:40] + end.to_bytes(8, "little") + data[48:end])
    with h5py.File(path) as file:  # nothing is wrong with it
        assert all((file[name][()] == 0).all() for name in file)
    with pytest.raises(InputError, match=r"declares 1,600,000 bytes and has 20\d,\d\d\d"):
        weight_files.read_arrays(path)


# === Golden files ===
def npy(shape, dtype, content=b""):
    """A `.npy` file that declares an array, with these bytes behind."""
    out = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + content


def replace_golden(folder, members, compress=zipfile.ZIP_DEFLATED):
    """Writes a golden file of these members, with the hash that belongs to it on record."""
    with zipfile.ZipFile(folder / layout.GOLDEN, "w", compress) as archive:
        for name, content in members:
            archive.writestr(name, content)
    agree(folder, layout.GOLDEN)


def with_changes(folder, **changes):
    with np.load(folder / layout.GOLDEN) as file:
        arrays = {**file, **changes}
    members = []
    for name, array in arrays.items():
        if isinstance(array, bytes):
            members.append((f"{name}.npy", array))
        elif array is not None:
            out = io.BytesIO()
            np.lib.format.write_array(out, np.asarray(array))
            members.append((f"{name}.npy", out.getvalue()))
    return members


TENSOR = np.zeros((1, 32, 32, 3), "float32")


@pytest.mark.parametrize(
    "changes",
    [
        {"tensor": npy((1, 2**14, 2**14, 3), "<f4", bytes(1_000))},
        {"tensor": npy((2**40, 2**40), "<f4")},
        {"tensor": bytes(2**28)},
        {"tensor": npy((2,), "|O", b"cos\nsystem\n(S'x'\ntR.")},
        {"tensor": np.zeros((1, 500, 500, 3), "float32")},
        {"tensor": np.repeat(TENSOR, 5, axis=0)},
        {"tensor": TENSOR.astype("float64")},
        {"tensor": TENSOR[0]},
        {"tensor": None},
        {"image": np.zeros((1, 5_000, 2, 3), "uint8")},
        {"image": np.zeros((1, 0, 2, 3), "uint8")},
        {"image": np.zeros((1, 32, 32, 3))},
        {"tensor_scores": np.zeros((3,), "float32")},
        {"tensor_scores": np.array(["a", "b", "c"])},
        {"tensor_scores": np.full((1, 3), np.nan, "float32")},
        {"tensor_scores": None},
        {"more": TENSOR},
        {"../../evil": TENSOR},
        {"tensor": b"\x93NUMPY\x01\x00\xff\xff{" + b"(" * 60_000},
        {"tensor": b"\x93NUMPY\x09\x00"},
        {"tensor": b""},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_golden_file_that_no_model_wrote_is_refused(saved_presets, tmp_path, changes):
    folder = copy(saved_presets / "images", tmp_path / "small", forget=False)
    replace_golden(folder, with_changes(folder, **changes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="golden"):
        verification.verify(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize("value", [-1, 10**6, 2**31 - 1])
def test_golden_characters_that_the_model_does_not_have_are_refused(saved_presets, tmp_path, value):
    folder = copy(saved_presets / "language", tmp_path / "small", forget=False)
    replace_golden(folder, with_changes(folder, characters=np.full((1, 5, 12), value, "int32")))
    with pytest.raises(InputError, match="golden"):
        verification.verify(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"x" * 99])
def test_golden_file_that_is_no_archive_is_refused(saved_presets, tmp_path, content):
    folder = copy(saved_presets / "images", tmp_path / "small", forget=False)
    (folder / layout.GOLDEN).write_bytes(content)
    agree(folder, layout.GOLDEN)
    with pytest.raises(InputError, match="Expected golden"):
        verification.verify(folder)


def test_golden_arrays_come_back_as_they_were_written(saved_presets):
    model = ku.from_preset(saved_presets / "images")
    inputs, outputs = golden.read(saved_presets / "images" / layout.GOLDEN, model)
    with np.load(saved_presets / "images" / layout.GOLDEN) as file:
        assert {*inputs, *outputs} == set(file)
        for name, array in {**inputs, **outputs}.items():
            np.testing.assert_array_equal(array, file[name])
            assert array.dtype == file[name].dtype


# === Folders ===
def test_own_configuration_is_not_parsed_before_its_hash_is_compared(saved_presets, tmp_path):
    folder = copy(saved_presets / "images", tmp_path / "small", forget=False)
    foreign = '{"architecture": "resnet18"}', '{"registered_name": "keras_hub>ResNetBackbone"}'
    for text in ("[" * 100_000, *foreign, "9" * 10_000, "NaN"):
        (folder / "config.json").write_text(text)
        refused(folder, r"config\.json to have the size")


@pytest.mark.parametrize("name", ["record.json", "task.json", "config.json"])
def test_what_is_no_file_is_not_read(images, name):
    (images / name).unlink(missing_ok=True)
    if name == "config.json":
        (images / "task.json").unlink()
    os.mkfifo(images / name)  # reading would never end
    refused(images, "Expected")


def test_regated_record_without_files_is_not_converted(images):
    record = {
        "name": "x",
        "origin": "regated",
        "parameters": 1,
        "files": {},
        "source": {"name": "y"},
    }
    (images / layout.RECORD).write_text(json.dumps(record))
    with pytest.raises(InputError, match="Expected a record with golden"):
        verification.verify(images)
