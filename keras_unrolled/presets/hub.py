"""Presets from the Hugging Face Hub: one consistent version, checked before it is opened."""

import hashlib
import re
from pathlib import Path

from keras_unrolled import checks

SCHEME = "hf://"
# What a preset consists of; nothing else of a repository is fetched.
PATTERNS = ["*.json", "*.weights.h5", "*.npz", "model.safetensors"]
COMMIT = re.compile(r"[0-9a-f]{40}")


def parse(uri, revision=None):
    """Splits `hf://org/name@revision`.

    Args:
        uri: string that starts with `hf://`.
        revision: optional string, the revision given beside the address.

    Returns:
        The repository's id and its revision or None.

    Raises:
        InputError: if it is no such address, or names two revisions.
    """
    name, _, inside = uri.removeprefix(SCHEME).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or (inside == "" and "@" in uri):
        raise checks.InputError(
            "Expected a repository as hf://org/name or hf://org/name@revision. "
            f"Received: {uri!r}. Write for instance hf://ada/flowers@v1."
        )
    if inside and revision and inside != revision:
        raise checks.InputError(
            f"Expected one revision. Received two: {inside!r} in the address and revision="
            f"{revision!r}. Leave one out."
        )
    return name, inside or revision


def fetch(uri, *, revision=None, token=None, local_files_only=False, sizes=None):
    """A preset's folder in the local cache, downloaded where it is not there yet.

    All files are of one commit, even if another lands meanwhile. The client's settings hold:
    HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN.

    Args:
        uri: string, `hf://org/name` or `hf://org/name@revision`.
        revision: optional string, a branch, tag or commit; the default is "main".
        token: optional string, for a private repository.
        local_files_only: bool, whether to look into the cache only.
        sizes: optional dict from file name to bytes, what a record says. Where the Hub
            states other sizes nothing is downloaded; and a commit that is in the cache with
            all of these files is taken from there without asking the Hub.

    Returns:
        The path of the folder.

    Raises:
        InputError: if there is no such repository or revision, if it may not be read, if it
            is not in the cache and the Hub cannot be reached, or if a file is not the one
            that the Hub stated.
    """
    import huggingface_hub
    from huggingface_hub import errors

    name, revision = parse(uri, revision)
    at = f" at revision {revision!r}" if revision else ""
    options = {"revision": revision, "token": token, "allow_patterns": PATTERNS}
    if sizes and COMMIT.fullmatch(revision or "") and not local_files_only:
        try:
            folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True, **options))
            local_files_only = all((folder / file).is_file() for file in sizes)
        except errors.LocalEntryNotFoundError:
            pass
    try:
        if sizes and not local_files_only:
            _compare_sizes(name, revision, token, sizes)
        folder = huggingface_hub.snapshot_download(
            name, local_files_only=local_files_only, **options
        )
    except errors.RepositoryNotFoundError as error:
        raise checks.InputError(
            f"Expected a repository {name} on the Hub. Found none, or a private one that this "
            "token may not read. Check the name, or pass token=..."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise checks.InputError(
            f"Expected {name}{at}. The repository has no such branch, tag or commit. "
            "Check the revision."
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise checks.InputError(
            f"Expected {name}{at} in the local cache, since the Hub cannot be reached (or is "
            "not to be asked). Found it absent or incomplete. Connect and try again, or copy "
            "the preset's folder here and load that."
        ) from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise checks.InputError(
            f"Expected to download {name}{at}. It failed: {str(error).splitlines()[0]} "
            "Try again later; what has arrived is kept."
        ) from error
    verify_snapshot(Path(folder))
    return Path(folder)


def _compare_sizes(name, revision, token, sizes):
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token)
    info = api.model_info(name, revision=revision, files_metadata=True)
    stated = {file.rfilename: file.size for file in info.siblings or ()}
    for file, size in sizes.items():
        if stated.get(file) != size:
            raise checks.InputError(
                f"Expected {file} of {name} to have the {size:,} bytes of its record. The Hub "
                f"states {stated.get(file, 'no such file')!r}. Nothing was downloaded: the "
                "repository holds another version, or the record is damaged."
            )


def verify_snapshot(folder):
    """Compares every file of a cached snapshot with the hash that the Hub stated for it.

    The client keeps each file under the name of that hash, sha256 for a large file and git's
    sha1 for a small one, and never compares. A file that differs is taken out of the cache,
    so that the next attempt fetches it anew.

    Raises:
        InputError: for the first file that differs.
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        blob = path.resolve()
        data = blob.read_bytes()
        if re.fullmatch(r"[0-9a-f]{64}", blob.name):
            found = hashlib.sha256(data).hexdigest()
        elif re.fullmatch(r"[0-9a-f]{40}", blob.name):
            found = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        else:
            continue  # no links on this file system: the record's hashes remain
        if found != blob.name:
            path.unlink()
            blob.unlink()
            raise checks.InputError(
                f"Expected {path.name} with the hash {blob.name} that the Hub states. "
                f"Received a file with {found}. It was damaged on its way or on the disk, and "
                "has been taken out of the cache: try again."
            )
