"""Damaged presets: refused with a reason, or of the same outputs.

KERAS_UNROLLED_FUZZ=1 runs all two thousand of them; the default is a hundredth, and a tenth with --slow.
Seconds and memory are reported (pass -s), and those of each mutant written to the file that
KERAS_UNROLLED_FUZZ_LOG names.
"""

import contextlib
import csv
import os
import random
import re
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import keras_unrolled as ku
from keras_unrolled import InputError, models
from keras_unrolled.presets import verification
from tests.models.test_character_lm import TEXT, TINY
from tests.nets import randomize
from tests.presets.mutants import make_consistent, mutate

MUTANTS = 2_000
# Of images and of a language; of images without a record, as KerasHub writes it; and with a record that
# agrees with the damage, of which only a reason is asked.
KINDS = ["images", "language", "without a record", "consistent images", "consistent language"]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Two presets of one shape for each task, and what the first of each computes."""
    root = tmp_path_factory.mktemp("fuzz")
    for seed in (2, 1):
        model = models.highway(8, dataset="cifar", num_classes=3, labels=["a", "b", "c"])
        randomize(model, seed)
        ku.save_preset(model, root / f"images{seed}", name="small")
        tokenizer = models.CharacterTokenizer.learn(TEXT.replace("\n", " <eos> ").split())
        model = models.character_lm(tokenizer=tokenizer, **TINY)
        randomize(model, seed)
        ku.save_preset(model, root / f"language{seed}", name="small")
    expected = {task: outputs(ku.from_preset(root / f"{task}1")) for task in ("images", "language")}
    return root, expected


def outputs(model):
    """What a model computes of fixed inputs, with its labels or words."""
    rng = np.random.default_rng(0)
    if isinstance(model, models.CharacterLM):
        characters = rng.integers(1, 9, (2, 3, 4), "int32")
        return np.asarray(
            model(characters, training=False)
        ), model.preprocessor.tokenizer.vocabulary
    images = rng.integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    x = images if model.preprocessor is None else model.preprocessor(images)
    return np.asarray(model(x, training=False)), model.labels


def count(config):
    """How many mutants each kind has."""
    part = os.environ.get("KERAS_UNROLLED_FUZZ", 0.1 if config.getoption("--slow") else 0.01)
    return max(1, round(MUTANTS * float(part) / len(KINDS)))


def measure_peak(reset=False):
    """The most memory of this process so far, in kB; on Linux since it was reset."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError):
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attempt(call, folder):
    """What a call gives for a folder; None if it is refused, with a message for a person."""
    try:
        return call(folder)
    except InputError as error:
        message = str(error)
    assert "Expected" in message
    assert len(message) < 3_000
    return None


def is_small(model):
    """Whether images of the model's size are worth the time."""
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    size = getattr(converter, "image_size", None)
    return size is None or max(size) / converter.crop_fraction < 512


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_preset_is_refused_or_computes_the_same(presets, tmp_path, request, kind):
    root, expected = presets
    task = "language" if "language" in kind else "images"
    rng, log = random.Random(kind), []
    for _ in range(count(request.config)):
        folder = tmp_path / "damaged"
        shutil.copytree(root / f"{task}1", folder)
        if kind == "without a record":
            for name in ("record.json", "golden.npz"):
                (folder / name).unlink()
        how = [mutate(rng, folder, root / f"{task}2") for _ in range(rng.choice([1, 1, 2]))]
        if kind.startswith("consistent"):
            make_consistent(folder)
        before, began = measure_peak(reset=True), time.perf_counter()
        try:
            model = attempt(ku.from_preset, folder)
            computed = None if model is None or not is_small(model) else outputs(model)
            verified = attempt(verification.verify, folder)
        except Exception as error:
            raise AssertionError(f"{how}: {type(error).__name__}") from error
        seconds = time.perf_counter() - began
        rise = measure_peak() - before
        log.append(("; ".join(how), model is not None, verified is not None, seconds, rise))
        assert verified is None or model is not None, how
        if kind in ("images", "language"):
            # A record can lack what only verification needs.
            assert (model is None) == (verified is None) or "json record.json" in how, how
            if model is not None:
                assert np.array_equal(computed[0], expected[task][0]), how
                assert computed[1] == expected[task][1], how
        elif kind == "without a record":
            assert verified is None, how
        elif verified is not None and computed is not None:
            np.testing.assert_allclose(computed[0], expected[task][0], 0.01, 0.01, err_msg=str(how))
        shutil.rmtree(folder)
    report(kind, log)
    assert sum(not loaded for _, loaded, *_ in log) >= len(log) // 4  # it does damage them


def report(kind, log):
    slowest, largest = (max(log, key=lambda row: row[column]) for column in (3, 4))
    print(
        f"{kind}: {len(log)} mutants, {sum(row[1] for row in log)} loaded, {sum(row[2] for row in log)} "
        f"verified; {sum(row[3] for row in log) / len(log):.3f} s each, slowest {slowest[3]:.1f} s "
        f"({slowest[0]}), largest rise of memory {largest[4] / 1024:.0f} MB ({largest[0]})"
    )
    if path := os.environ.get("KERAS_UNROLLED_FUZZ_LOG"):
        with open(path, "a", newline="") as file:
            csv.writer(file).writerows([kind, *row] for row in log)
