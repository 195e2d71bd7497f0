"""What a Hub states of a repository: a commit and its files.

Names become paths, hashes become names in the cache and sizes become limits: only what has the form
of such a thing is passed on.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from keras_unrolled import checks, files
from keras_unrolled.presets import layout
from keras_unrolled.presets.hub_answers import no_hub, opened

COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# The files of a preset and of a checkpoint of timm; nothing else of a repository is looked at.
NAMES = {layout.RECORD, *layout.REQUIRED, *layout.OPTIONAL, "model.safetensors"}
# KerasHub divides large weights.
PARTS = re.compile(r"model\.weights\.json|model_[0-9]{5}\.weights\.h5")
MOST_FILES = 50
MOST_BYTES = 10**10  # of all of them: 2**31 weights of float32, the most that is built
MOST_LISTING = 2**25  # bytes that describe a repository, of a hundred thousand files
MOST_SECONDS = 60  # for this description


@dataclass(frozen=True)
class Stated:
    """Size and hash of a file.

    Args:
        size: int, bytes.
        digest: string, sha256 (64 digits) of a large file, git's sha1 (40 digits) of a small one.
    """

    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """A commit and those of its files that a preset, or a data set, may have, by name."""

    commit: str
    files: dict[str, Stated]


@dataclass(frozen=True)
class Kind:
    """What is looked for in a repository.

    Args:
        title: string, for messages.
        group: "models" or "datasets", as the Hub has it.
        is_read: function from a file's name to whether it is looked at.
        most: function from a file's name to the most bytes that it may have.
        most_files: int, files at most.
        most_bytes: int, bytes of all of them at most.
    """

    title: str
    group: str
    is_read: Callable[[str], bool]
    most: Callable[[str], int]
    most_files: int
    most_bytes: int


def ask(name, revision, wanted, token=None, kind=None):
    """Asks the Hub for a repository's commit and files.

    Args:
        name: string, `org/name`.
        revision: string, a branch, tag or commit.
        wanted: string, both of them, for messages.
        token: optional string.
        kind: optional `Kind`; the default is `PRESET`.

    Returns:
        A `Listing`.

    Raises:
        Unavailable: if the Hub does not answer, or not as a Hub does.
        InputError: if there is no such revision, or a file is larger than any preset's.
    """
    from huggingface_hub import constants

    kind = kind or PRESET
    url = f"{constants.ENDPOINT}/api/{kind.group}/{name}/revision/{quote(revision, safe='')}"
    with opened(f"{url}?blobs=true", wanted, token=token) as answer:
        form = answer.headers.get("Content-Type", "")
        body = _read(answer, wanted)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        is_page = "html" in form.lower() or body.lstrip()[:1] == b"<"
        raise no_hub(wanted, "a web page" if is_page else "no JSON") from error
    commit, rows = (_get(data, key) for key in ("sha", "siblings"))
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit) or not isinstance(rows, list):
        raise no_hub(wanted, "JSON without a commit and its files")
    if COMMIT.fullmatch(revision) and commit != revision:
        raise no_hub(wanted, f"another commit, {commit}")
    stated = {}
    for row in rows:
        file = _get(row, "rfilename")
        if isinstance(file, str) and kind.is_read(file):
            stated[file] = _read_row(file, row, wanted, kind)
    if len(stated) > kind.most_files:
        raise checks.InputError(
            f"Expected {kind.title} in {wanted}, of at most {kind.most_files:,} files. The Hub states {len(stated):,}. "
            "Nothing was downloaded. Check the name."
        )
    if sum(entry.size for entry in stated.values()) > kind.most_bytes:
        raise _too_large("the files", sum(entry.size for entry in stated.values()), wanted, kind)
    return Listing(commit, stated)


def is_of_a_preset(file):
    """Whether a file of this name may be one of a preset."""
    return file in NAMES or PARTS.fullmatch(file) is not None


def _read(answer, wanted):
    """The body of a short answer."""
    body, began = bytearray(), time.monotonic()
    for part in answer.iter_raw():
        body += part
        if len(body) > MOST_LISTING:
            raise no_hub(wanted, f"more than {MOST_LISTING:,} bytes")
        if time.monotonic() - began > MOST_SECONDS:
            raise no_hub(wanted, f"no complete answer within {MOST_SECONDS} seconds")
    return bytes(body)


def _read_row(file, row, wanted, kind):
    lfs = row.get("lfs")
    digest = _get(lfs, "sha256") if lfs else row.get("blobId")
    size = _get(lfs, "size") if lfs else row.get("size")
    is_hash = isinstance(digest, str) and HASH.fullmatch(digest)
    if not is_hash or type(size) is not int or size < 0:
        raise no_hub(wanted, f"{file} without its size and hash")
    if size > kind.most(file):
        raise _too_large(file, size, wanted, kind)
    return Stated(size, digest)


def _most(file):
    if file.endswith(".json"):
        return files.MOST_JSON
    return layout.MOST_GOLDEN if file == layout.GOLDEN else MOST_BYTES


def _get(value, key) -> Any:
    """An entry of a JSON object; None of anything else."""
    return value.get(key) if isinstance(value, dict) else None


def _too_large(what, size, wanted, kind):
    return checks.InputError(
        f"Expected {kind.title} in {wanted}. The Hub states {size:,} bytes for {what}, more than any "
        f"{kind.title.removeprefix('a ')} has. Nothing was downloaded. Check the name."
    )


PRESET = Kind("a preset", "models", is_of_a_preset, _most, MOST_FILES, MOST_BYTES)
