"""From a listing to files in the local cache of Hugging Face's client.

The cache has the client's layout, so that both use the same files: `blobs/HASH`,
`snapshots/COMMIT/NAME`, a link to it, and `refs/BRANCH` with a commit. A file enters it once its hash is the
one that was stated.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import filelock

from keras_unrolled import checks, files
from keras_unrolled.presets.hub_answers import Unreachable, no_hub, opened
from keras_unrolled.presets.hub_listing import COMMIT, PRESET
from keras_unrolled.progress import progress

ATTEMPTS = 5  # to go on with a file after its connection broke off, as the client does
LARGE = 2**20  # bytes of a download with a progress bar


def download(name, listing, revision, token=None, kind=PRESET):
    """Downloads what the cache lacks of a commit.

    Args:
        name: string, `org/name`.
        listing: a `Listing`.
        revision: string, the branch, tag or commit that led to it.
        token: optional string.
        kind: `Kind` of the repository.

    Returns:
        The path of the folder of the commit.

    Raises:
        Unavailable: if the Hub does not send a file.
        InputError: if a file is not the one stated, or the disk is full.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    repository = f"{kind.group}--{name.replace('/', '--')}"
    above = "" if kind.group == "models" else f"{kind.group}/"
    store = cache / repository
    folder = store / "snapshots" / listing.commit
    missing = {k: v for k, v in listing.files.items() if not (folder / k).exists()}
    files.check_room(store, sum(stated.size for stated in missing.values()))
    try:
        # The smallest first, the record among them: a damaged preset is found out early.
        for file, stated in sorted(missing.items(), key=lambda item: item[1].size):
            url = f"{constants.ENDPOINT}/{above}{name}/resolve/{listing.commit}/{quote(file)}"
            blob = store / "blobs" / stated.digest
            with _locked(cache / ".locks" / repository / f"{stated.digest}.lock"):
                if not blob.exists() and not (folder / file).exists():
                    _receive(url, blob, stated, file, name, token)
                _link(blob, folder / file)
    except OSError as error:
        raise checks.InputError(
            f"Expected to write {name} to the cache {cache}. It failed: {error}. Is there room on "
            "the disk, and may it be written? HF_HOME sets another place."
        ) from error
    if not COMMIT.fullmatch(revision):
        lock = cache / ".locks" / repository / "refs.lock"
        _write_reference(store / "refs" / revision, listing.commit, lock)
    return folder


def _write_reference(path, commit, lock):
    """Notes the commit of a branch or tag, for when there is no connection.

    That fails without harm if the cache is another's, who filled it, or if a branch `a` was deleted
    and there is `a/b` now.
    """
    with contextlib.suppress(OSError, checks.InputError), _locked(lock):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, commit)


def make_hasher(stated):
    """The hash that `stated.digest` is one of, for a file's content."""
    if len(stated.digest) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % stated.size, usedforsecurity=False)


def _receive(url, blob, stated, file, name, token):
    """Downloads a file aside, compares it, and renames it."""
    from huggingface_hub import utils

    blob.parent.mkdir(parents=True, exist_ok=True)
    hidden = stated.size < LARGE or utils.are_progress_bars_disabled()
    descriptor, aside = tempfile.mkstemp(
        prefix=f"{stated.digest}.", suffix=".incomplete", dir=blob.parent
    )
    try:
        with (
            open(descriptor, "wb") as target,
            progress(description=file, total=stated.size, unit="B", hidden=hidden) as bar,
        ):
            digest = _copy(url, target, stated, f"{file} of {name}", token, bar)
        if digest != stated.digest:
            raise checks.InputError(
                f"Expected {file} with the hash {stated.digest} that the Hub states for {name}. "
                f"Received a file with {digest}. It was damaged on the way, or is something else; it "
                "was not kept: try again."
            )
        os.chmod(aside, 0o644)  # mkstemp makes it private
        os.replace(aside, blob)
    finally:
        Path(aside).unlink(missing_ok=True)


def _copy(url, target, stated, wanted, token, bar):
    """Writes a file as it arrives, never more than was stated; returns its hash."""
    hasher, received = make_hasher(stated), 0
    for attempt in range(ATTEMPTS + 1):
        before = received
        try:
            with opened(url, wanted, token=token, is_file=True, start=received) as answer:
                if received and answer.status_code == 200:  # all of it again
                    target.seek(0)
                    target.truncate()
                    hasher, received = make_hasher(stated), 0
                elif received and not answer.headers.get("Content-Range", "").startswith(
                    f"bytes {received}-"
                ):
                    raise no_hub(wanted, "another part of the file")
                for part in answer.iter_raw():
                    received += len(part)
                    if received > stated.size:
                        raise no_hub(wanted, f"more than the {stated.size:,} bytes stated")
                    target.write(part)
                    hasher.update(part)
                    bar.update(len(part))
            break
        except Unreachable:
            if attempt == ATTEMPTS or received <= before:
                raise
            time.sleep(1)
    return hasher.hexdigest()


def _link(blob, place):
    """Makes `place` a link to a file of the cache, or that file where there are no links."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)  # a link to a file that was removed
    try:
        place.symlink_to(os.path.relpath(blob, place.parent))
    except (OSError, NotImplementedError):
        os.replace(blob, place)


@contextlib.contextmanager
def _locked(path):
    """Waits until no other process downloads the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    with contextlib.suppress(NotImplementedError):  # a file system without locks
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
