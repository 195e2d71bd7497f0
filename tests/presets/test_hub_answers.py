"""What is made of a Hub's answers: each failure is reported as what it is, and none leaves the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from keras_unrolled import InputError
from keras_unrolled.presets import hub
from tests import hub_faults
from tests.conftest import ROOT
from tests.hub_server import git_oid, sha256
from tests.presets.conftest import FILES, fetch, refusal

EVIL = "../../../../evil"


@pytest.mark.usefixtures("small_hub")
def test_only_files_of_a_preset_are_fetched():
    assert fetch() == FILES


def test_cache_is_that_of_the_client(small_hub):
    sha, _ = small_hub.repositories["ada/small"].commits[-1]
    fetch()
    before = len(small_hub.requests)
    for name, data in FILES.items():
        found = Path(
            huggingface_hub.try_to_load_from_cache(
                "ada/small", name, cache_dir=small_hub.cache, revision="main"
            )
        )
        assert found.read_bytes() == data
        assert found.resolve().name == (sha256(data) if name.endswith(".h5") else git_oid(data))
        assert found.parents[name.count("/")].name == sha
    (info,) = huggingface_hub.scan_cache_dir(small_hub.cache).repos
    assert (info.repo_id, info.refs.keys(), info.nb_files) == ("ada/small", {"main"}, len(FILES))
    assert len(small_hub.requests) == before


NO_TOKEN = "refuses a request without a token (401)"
UNLISTED = "Expected task.json of ada/small, which the Hub lists"


@pytest.mark.parametrize(
    ("status", "headers", "of_listing", "of_file"),
    [
        (401, {}, NO_TOKEN, NO_TOKEN),
        (401, {"X_Error_Code": "RepoNotFound"}, "this token may not read", NO_TOKEN),
        (403, {"X_Error_Message": "Not\x1b[2J yours"}, "(403: Not?[2J yours)", None),
        (403, {"X_Error_Code": "GatedRepo"}, "gives it on request only", None),
        (404, {}, "Expected a repository ada/small on the Hub. Found none", UNLISTED),
        (404, {"X_Error_Code": "RevisionNotFound"}, "no such branch, tag or commit", None),
        (404, {"X_Error_Code": "EntryNotFound"}, "Expected a repository ada/small", UNLISTED),
        (429, {}, "too many requests from here (429). Wait a few minutes", None),
        (429, {"Retry_After": "90"}, "Wait 90 seconds", None),
        (429, {"Retry_After": "999999999"}, "Wait a few minutes", None),
        (500, {}, "fails (500). Try again later", None),
        (503, {"X_Error_Message": "Busy"}, "fails (503: Busy). Try again later", None),
        (418, {}, "Received the status 418", None),
        (204, {}, "Received the status 204", None),
    ],
)
def test_status_is_reported_as_what_it_is(small_hub, status, headers, of_listing, of_file):
    fault = hub_faults.always(status, **headers)
    assert of_listing in refusal(small_hub, fault)
    assert (of_file or of_listing) in refusal(small_hub, hub_faults.for_files(fault))
    assert fetch() == FILES


def test_token_that_is_refused_is_not_repeated(small_hub):
    error = refusal(small_hub, hub_faults.always(401), token="secret")
    assert "refuses the token that was sent (401)" in error
    assert "secret" not in error
    error = refusal(small_hub, None, token="secret\n")
    assert "without the end of its line" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("fault", "received"),
    [
        (hub_faults.portal(), "a web page"),
        (hub_faults.always(200, []), "JSON without a commit"),
        (hub_faults.always(200, None), "JSON without a commit"),
        (hub_faults.always(200, b"[" * 100_000), "no JSON"),
        (hub_faults.always(302, Location="ftp://x/"), "an address that cannot be read"),
        (hub_faults.always(302, Location="/"), "what cannot be read"),
        (hub_faults.always(200, b"{}", Content_Encoding="gzip"), "JSON without a commit"),
        (hub_faults.raw(b"SSH-2.0-x\r\n"), "the Hub cannot be reached"),
        (hub_faults.endless(b" " * 2**20), "more than 33,554,432 bytes"),
    ],
)
def test_what_is_no_hub_is_not_taken_for_one(small_hub, fault, received):
    assert received in refusal(small_hub, fault)


@pytest.mark.parametrize(
    "header", ["ETag", "X_Linked_Etag", "X_Repo_Commit", "Content_Disposition"]
)
def test_headers_of_a_file_name_nothing(small_hub, header):
    small_hub.fault = hub_faults.headers_of_files(**{header: f'"{EVIL}"'})
    assert fetch() == FILES


def test_missing_file_names_nothing(small_hub):
    def fault(handler, path):
        if "/resolve/" not in path:
            return False
        handler.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=EVIL)
        return True

    assert "which the Hub lists" in refusal(small_hub, fault)


def test_no_more_than_the_stated_size_is_written(small_hub):
    fault = hub_faults.for_files(hub_faults.endless(bytes(2**16)))
    assert "more than the 2 bytes stated" in refusal(small_hub, fault)
    assert not list(small_hub.cache.rglob("*.incomplete"))


def test_page_in_the_place_of_a_file_is_not_kept(small_hub):
    error = refusal(small_hub, hub_faults.for_files(hub_faults.always(200, b"[]")))
    assert f"with the hash {git_oid(FILES['task.json'])}" in error
    assert not list(small_hub.cache.rglob("task.json"))
    assert fetch() == FILES


def test_download_goes_on_where_it_broke_off(small_hub, monkeypatch):
    data = FILES["model.weights.h5"]
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def cut(handler, path):
        if not path.endswith(sha256(data)):
            return False
        small_hub.fault = None
        handler.answer(200, data[:20_000], Content_Length=len(data), Connection="close")
        handler.close_connection = True
        return True

    small_hub.fault = cut
    assert fetch() == FILES
    assert small_hub.ranges == [(f"/objects/{sha256(data)}", 20_000)]


def test_token_does_not_follow_to_another_host(small_hub):
    seen = []

    def note(handler, path):
        seen.append((handler.headers["Host"].split(":")[0], handler.headers.get("Authorization")))
        return False

    small_hub.fault = note
    fetch(token="token-of-ada")
    assert set(seen) == {("127.0.0.1", "Bearer token-of-ada"), ("localhost", None)}


@pytest.mark.parametrize(
    "fault",
    [hub_faults.always(503), hub_faults.always(429), hub_faults.portal(), hub_faults.raw(b"")],
)
def test_cached_copy_serves_while_the_hub_does_not(small_hub, fault):
    assert fetch() == FILES
    small_hub.fault = fault
    assert fetch() == FILES


def test_cached_commit_with_a_missing_file_is_not_complete(small_hub):
    sha, _ = small_hub.repositories["ada/small"].commits[-1]
    sizes = {name: len(data) for name, data in FILES.items()}
    assert fetch(revision=sha, sizes=sizes) == FILES
    next(small_hub.cache.rglob("task.json")).unlink()
    assert "missing or incomplete" in refusal(
        small_hub, None, revision=sha, sizes=sizes, local_files_only=True
    )
    assert fetch(revision=sha, sizes=sizes) == FILES


def test_reference_of_the_cache_that_leads_elsewhere_is_ignored(small_hub):
    fetch()
    (small_hub.cache / "models--ada--small/refs/main").write_text("../../../../..")
    assert "in the local cache" in refusal(small_hub, hub_faults.raw(b""))


def test_another_commit_than_the_one_asked_for_is_refused(small_hub):
    asked = "a" * 40
    small_hub.repositories["ada/small"].tags[asked] = small_hub.repositories["ada/small"].commits[
        -1
    ][0]
    assert "another commit" in refusal(small_hub, None, revision=asked)


def test_file_system_without_links_is_served(small_hub, monkeypatch):
    def refuse(*arguments):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert fetch() == FILES
    assert fetch() == FILES
    record = next(small_hub.cache.rglob("record.json"))
    record.unlink()  # which has the hashes of the others
    small_hub.fault = hub_faults.changed_listing(lambda data: {**data, "siblings": []})
    with pytest.raises(InputError, match="It states none"):
        hub.verify_snapshot(record.parent, "ada/small")
    small_hub.fault = None
    (record.parent / "task.json").write_bytes(b"{ ")
    with pytest.raises(InputError, match=r"Expected task\.json with the hash"):
        hub.verify_snapshot(record.parent, "ada/small")


@pytest.mark.slow
def test_odd_answers_leave_no_traceback_and_no_file_elsewhere(tmp_path):
    script = Path(__file__).parent / "hub_fuzz.py"
    count = round(200 * float(os.environ.get("KERAS_UNROLLED_FUZZ", 0.1)))  # 1 for all of them
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "2", str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    print(found["outcomes"], f"slowest {found['slowest'][1]:.1f} s ({found['slowest'][0]})")
    assert found["problems"] == []
    assert found["outcomes"].get("refused", 0) > count / 3
