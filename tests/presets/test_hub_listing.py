"""What a Hub states of a repository: only names, hashes and sizes of their form are used."""

import pytest

from keras_unrolled.presets import hub_listing
from tests import hub_faults
from tests.presets.conftest import FILES, fetch, refusal

EVIL = "../../../../evil"


def set_value(key, value, name="model.weights.h5"):
    def change(data):
        row = next(row for row in data["siblings"] if row["rfilename"] == name)
        (data if key in ("sha", "siblings") else row)[key] = value

    return hub_faults.changed_listing(change)


@pytest.mark.parametrize("value", [EVIL, "a" * 39, "A" * 40, "", None, 7, "a" * 40 + "\n"])
def test_commit_that_is_no_hash_is_refused(small_hub, value):
    assert "JSON without a commit" in refusal(small_hub, set_value("sha", value))


@pytest.mark.parametrize("key", ["digest", "size"])
@pytest.mark.parametrize("value", [EVIL, -1, None, True, 1.5, "7", [], "a" * 39])
def test_hash_or_size_of_another_form_is_refused(small_hub, key, value):
    lfs = {"sha256": value if key == "digest" else "a" * 64, "size": value if key == "size" else 7}
    assert "without its size and hash" in refusal(small_hub, set_value("lfs", lfs))
    key = {"digest": "blobId"}.get(key, key)
    assert "without its size and hash" in refusal(small_hub, set_value(key, value, "task.json"))


@pytest.mark.parametrize(
    "name", [EVIL, "/evil", "..", "a/../../../../evil.json", "x\0.json", None, {}]
)
def test_file_with_a_name_that_leads_elsewhere_is_not_fetched(small_hub, name):
    assert fetch() == FILES
    small_hub.fault = hub_faults.changed_listing(
        lambda data: data["siblings"].append({**data["siblings"][0], "rfilename": name})
    )
    assert fetch() == FILES
    assert not [path for _, path in small_hub.requests if "evil" in path]


@pytest.mark.parametrize(
    ("name", "size"),
    [("task.json", 2**24 + 1), ("golden.npz", 2**25 + 1), ("model.weights.h5", 10**10 + 1)],
)
def test_file_larger_than_any_presets_is_not_downloaded(small_hub, name, size):
    def change(data):
        data["siblings"].append({"rfilename": name, "size": size, "blobId": "a" * 40})

    before = len(small_hub.requests)
    assert f"{size:,} bytes for {name}" in refusal(small_hub, hub_faults.changed_listing(change))
    assert len(small_hub.requests) == before + 1


def test_sum_of_the_files_is_bounded(small_hub):
    def change(data):
        for name in ("model.weights.h5", "task.weights.h5"):
            data["siblings"].append({"rfilename": name, "size": 6 * 10**9, "blobId": "a" * 40})

    assert "12,000,000,009 bytes for the files" in refusal(
        small_hub, hub_faults.changed_listing(change)
    )


def test_number_of_files_is_bounded(small_hub):
    def change(data):
        names = [f"model_{i:05}.weights.h5" for i in range(51)]
        data["siblings"] += [{"rfilename": n, "size": 1, "blobId": "a" * 40} for n in names]

    assert "of at most 50 files" in refusal(small_hub, hub_faults.changed_listing(change))


def test_names_are_those_that_a_preset_has():
    assert "assets/tokenizer/vocabulary.json" in hub_listing.NAMES
    assert len(hub_listing.NAMES) < 50
